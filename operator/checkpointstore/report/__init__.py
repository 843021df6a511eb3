"""One archive for whoever looks at a store at 3 a.m.: `hide` keeps secrets out, `content` says what, `collect` asks."""
