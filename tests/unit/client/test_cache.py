"""What was used last is kept."""

from checkpointstore.client.cache import Cache


def kept(cache: Cache[str, int]) -> str:
    return "".join(key for key in "abcdef" if cache.get(key) is not None)


def test_what_was_not_used_for_longest_goes() -> None:
    cache = Cache[str, int](10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    assert kept(cache) == "ac"


def test_what_is_put_again_weighs_once() -> None:
    cache = Cache[str, int](10)
    for value in range(5):
        cache.put("a", value, 4)
    cache.put("b", 1, 6)
    assert (cache.get("a"), kept(cache)) == (4, "ab")
    cache.put("a", 5, 1)
    cache.put("c", 1, 3)
    assert kept(cache) == "abc"


def test_what_is_too_heavy_by_itself_drives_nothing_out() -> None:
    cache = Cache[str, int](10)
    cache.put("a", 1, 10)
    cache.put("b", 2, 11)
    assert kept(cache) == "a"
