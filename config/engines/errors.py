"""What can go wrong with an engine, said in one sentence that a person can act on."""


class EngineError(Exception):
    """An engine cannot be started, stopped or reached. Its text is one sentence: the cause and the cure."""
