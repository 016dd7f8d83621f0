"""Programs that run what they are given: of none of them the name tells what it does."""

__all__: list[str] = []
