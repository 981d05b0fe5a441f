"""JSON of requests, read strictly."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from pydantic_core import from_json


class StrictRequest(Request):
    """One whose JSON holds nothing that other JSON could not: no ``NaN``, and no halves of
    characters (lone surrogates), which could be stored and then never be answered."""

    async def json(self) -> Any:
        """Raises JSONDecodeError."""
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = from_json(body, allow_inf_nan=False, cache_strings="keys")
            except ValueError as error:
                raise json.JSONDecodeError(str(error), "", 0) from error
        return self._json
