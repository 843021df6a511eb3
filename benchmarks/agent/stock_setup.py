"""Let the stock saver prepare the stock database."""

import stock
from langgraph.checkpoint.postgres import PostgresSaver
from report import finish

with PostgresSaver.from_conn_string(stock.uri()) as saver:
    saver.setup()
finish(True)
