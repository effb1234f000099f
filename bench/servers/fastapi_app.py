"""What FastAPI and pydantic take to parse and check the same request, and answer a constant."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel


class Entity(BaseModel):
    type: str
    id: str
    properties: dict[str, Any] = {}


class Action(BaseModel):
    name: str
    properties: dict[str, Any] = {}


class Evaluation(BaseModel):
    subject: Entity
    action: Action
    resource: Entity
    context: dict[str, Any] = {}


class Decision(BaseModel):
    decision: bool


app = FastAPI()


@app.get("/ready")
async def ready() -> None:
    return None


@app.post("/access/v1/evaluation")
async def evaluation(asked: Evaluation) -> Decision:
    return Decision(decision=asked.action.name == "retrieve")
