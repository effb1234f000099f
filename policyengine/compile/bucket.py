"""Everything for one principal type, one action and one resource type: the rules that can apply, as functions and
tables.

`entry` answers well-formed requests whose outcome has been seen before. `settle` answers every request, and remembers
the outcome.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Hashable, Mapping, Sequence
from types import ModuleType
from typing import Any

from policyengine.compile.actors import Actors
from policyengine.compile.call_site import CallSite
from policyengine.compile.closed_tools import closed, fast_checks
from policyengine.compile.codegen import fast_tree
from policyengine.compile.derived_decisions import MEMORY, effective
from policyengine.compile.entry import LISTED, entry_paths, entry_tree
from policyengine.compile.fallback_entry import FallbackEntry, FaultyTable, Outcome
from policyengine.compile.fallible_rules import Report
from policyengine.compile.index import Dimension, RulePlan, Table
from policyengine.compile.intake import Entry, entry
from policyengine.compile.native import NATIVE
from policyengine.compile.quantifier_counts import QuantifierCounts, quantifiers
from policyengine.compile.reads import first_read
from policyengine.compile.references import functions
from policyengine.compile.rule_blocks import BlockTable, Row, RuleBlock, blocks_of, chunks, need_all, prepare_all
from policyengine.diagnostics import codes
from policyengine.evaluate.combine import Verdicts, combine
from policyengine.evaluate.decide import holds, properties_in, rule_error
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.evaluate.tool_arguments import refused_arguments
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.model.decision import Decision, RuleError, listed_errors
from policyengine.model.request import Request
from policyengine.model.values import Entity, Fault
from policyengine.schema.schema import CALL, TOOL


class Bucket:
    """Decides requests of one shape. Changes only in what it remembers."""

    def __init__(
        self,
        plan: RulePlan,
        site: CallSite,
        actors: Actors,
        revision: str,
        native: ModuleType | None = NATIVE,
        refusal: Decision | None = None,
        quantifier_counts: QuantifierCounts | None = None,
    ) -> None:
        self._quantifier_counts = quantifier_counts if quantifier_counts is not None else QuantifierCounts()
        # How many rules that are in no table have quantifiers, and how many have nested ones.
        self._always = (0, 0)
        self._site = site
        self._schema = schema = actors.schema
        self._world = world = actors.world
        self._derived = actors.derived
        self._revision = revision
        first, *others = chunks(plan.always) or [()]
        # Decisions by the mask of the rules that are evaluated first, and by that mask and what the tables added.
        self._outcomes: list[Decision | None] | dict[int, Decision]
        self._outcomes = [None] * (1 << len(first)) if len(first) <= LISTED else {}
        if refusal is not None:
            # No rule concerns these requests, so this is the decision about all of them.
            self._outcomes[0] = refusal
        self._decisions: dict[tuple[int, tuple[tuple[int, int], ...]], Decision] = {}
        # All rules of a table, in blocks.
        self._everything: dict[int, list[RuleBlock]] = {}
        self._blocks: list[RuleBlock] = []
        self._env = {
            "world": world,
            **functions(world, native),
            "outcomes": self._outcomes,
            "decisions": self._decisions,
            "records_principal": world.records.get(site.principal, {}),
            "records_resource": world.records.get(site.resource, {}),
        }
        self._first = self._block(first)
        self._tables = [self._rows(table) for table in plan.tables]
        rest = tuple(self._block(each) for each in others)
        self._unindexed = (self._first, *rest)
        self._count_quantifiers(self._first)
        if rest:
            self._tables.append(BlockTable(_EVERY, {site.action: Row(rest)}, ()))
        self._apart = actors.look.apart(site.principal, site.resource)
        check = None
        if site.resource == TOOL:
            check = closed(fast_checks(schema, world) if site.action == CALL else {}, world)

        # Remembers decisions for outcomes in which some attributes have no value.
        self._fallback = FallbackEntry(self._first, self._tables, site, world, self._derived, self._env)
        self.entry: Entry = entry(
            entry_paths(first, self._tables, site, self._apart),
            world,
            self._env,
            native,
            actors,
            check,
            self._fallback.ask if refusal is None else None,
        )

    def prepare(self) -> None:
        """Makes the functions that nearly every request needs: those of the rules that are in no table."""
        first, *rest = self._unindexed
        # `entry` contains its functions for well-formed requests.
        first.prepare_carefully()
        prepare_all(rest)

    def prepare_like(self, earlier: Bucket) -> None:
        """Makes the functions that the earlier bucket has made."""
        self.prepare()
        before = {table.dimension: table.rows for table in earlier._tables}
        for table in self._tables:
            for value, row in before.get(table.dimension, {}).items():
                now = table.rows.get(value)
                if now is not None and any(block.is_wanted for block in blocks_of(row)):
                    prepare_all(blocks_of(now))

    def settle(self, request: Request, approved: Collection[str] = ()) -> Decision:
        """The decision about any request of this shape, without delegation."""
        env = Env(request, self._world)
        arguments = self._arguments(request)
        # Errors are collected here and not raised: a forbid that errs must deny, whatever the other rules say.
        first = self._first.ask_carefully(*arguments)
        blocks, faulty = self._concerned(env)
        need_all(blocks)
        answers = [(self._first, *first), *((block, *block.ask_carefully(*arguments)) for block in blocks)]
        others = [(block.number, held, report) for block, held, _, report in answers[1:] if held or report]
        outcome: Outcome = (first[0], first[2], tuple(sorted(others)), faulty)
        refused = refused_arguments(self._schema, self._world, request)
        failed = [rule for block, _, mask, _ in answers for rule in _chosen(block.rules, mask)]
        # If each reason for an error was seen before, the decision for this outcome is known.
        has_report = (bool(faulty) or any(report for *_, report in answers)) and not (refused or approved)
        known = self._fallback.known(outcome) if has_report and not failed else None
        if known is not None:
            return known
        held = [rule for block, mask, _, _ in answers for rule in _chosen(block.rules, mask)]
        why = {rule.name: _error(rule, env) for rule in failed}
        learned = [block.learn(report, mask, why) for block, _, mask, report in answers]
        has_report = has_report and all(learned)
        verdicts, tried = self._verdicts(held, failed, self._errors(answers, faulty), why)
        erred = [*verdicts.erred, *tried.erred]
        if refused:
            return combine(verdicts, approved, properties_in(env), self._revision, refused, tried)
        decision = combine(verdicts, (), properties_in(env), self._revision, (), tried)
        # A remembered decision is given to every request with the same outcome, so nothing in it may come from this
        # request.
        is_constant = all(map(_is_constant, (*held, *erred)))
        if has_report and is_constant:
            self._fallback.remember(outcome, decision)
        is_kept = not erred and is_constant
        if is_kept:
            decision = self._remember(first[0], tuple((number, mask) for number, mask, _ in outcome[2]), decision)
        helpful_approvals = effective(decision, approved)
        if not helpful_approvals:
            return decision
        with_approvals = combine(verdicts, helpful_approvals, properties_in(env), self._revision, (), tried)
        if is_kept:
            self._derived.remember(decision, helpful_approvals, with_approvals)
        return with_approvals

    def _errors(
        self, answers: Sequence[tuple[RuleBlock, int, int, Report]], faulty: Sequence[FaultyTable]
    ) -> list[tuple[Rule, RuleError]]:
        """The rules that read an attribute without a value, and what is wrong with each."""
        errors = [error for block, _, mask, report in answers for error in block.errors(report, mask)]
        for number, (code, message) in faulty:
            for rule in self._tables[number].all:
                key = first_read(rule)
                errors.append((rule, RuleError(rule.name, code, message, str(rule.span if key is None else key.span))))
        return errors

    def _verdicts(
        self,
        held: Sequence[Rule],
        failed: Sequence[Rule],
        known: Sequence[tuple[Rule, RuleError]],
        why: Mapping[str, RuleError],
    ) -> tuple[Verdicts, Verdicts]:
        """The verdicts of the rules in force, and of those on trial. `why` has the interpreter's errors for the rules
        in `failed`."""
        errors = {rule.name: error for rule, error in known} | dict(why)
        erred = sorted([*(rule for rule, _ in known), *failed], key=_name)

        def of_rules(tried: bool) -> Verdicts:
            erred_there = [rule for rule in erred if rule.tried is tried]
            why = [errors[rule.name] for rule in erred_there]
            held_there = sorted((rule for rule in held if rule.tried is tried), key=_name)
            faults = [(each.code, each.message) for each in why]
            return Verdicts(held_there, erred_there, listed_errors(faults, why.__getitem__))

        return of_rules(False), of_rules(True)

    def _remember(self, mask: int, hits: tuple[tuple[int, int], ...], decision: Decision) -> Decision:
        """The decision for an outcome. The first one that was made is kept, because others may be derived from it."""
        if hits:
            return self._decisions.setdefault((mask, hits), decision) if len(self._decisions) < MEMORY else decision
        if isinstance(self._outcomes, dict):
            return self._outcomes.setdefault(mask, decision) if len(self._outcomes) < MEMORY else decision
        known = self._outcomes[mask]
        if known is None:
            known = self._outcomes[mask] = decision
        return known

    def trees(self, rule: Rule) -> list[tuple[int, ast.Module, Mapping[str, Any]]]:
        """The generated functions that evaluate a rule, for display: the entry first, then the blocks that a table
        leads to. Each comes with the number of its rules and its constants."""
        first = self._first.rules
        blocks = [b.rules for b in self._blocks if b is not self._first and any(one is rule for one in b.rules)]
        made = [(len(rules), *fast_tree(rules, self._site)) for rules in blocks]
        way_in = entry_paths(first, self._tables, self._site, self._apart)
        return [(len(first), entry_tree(way_in), way_in.constants), *made]

    # ---- blocks and tables ----

    def _count_quantifiers(self, block: RuleBlock) -> None:
        """Counts the quantifiers of a block that is going to be evaluated, in addition to those of the rules in no
        table."""
        more = quantifiers(block.rules)
        total = (self._always[0] + more[0], self._always[1] + more[1])
        if block in self._unindexed:
            self._always = total
        self._quantifier_counts.learn(*total)

    def _block(self, rules: Sequence[Rule]) -> RuleBlock:
        block = RuleBlock(len(self._blocks), rules, self._site, self._env, self._count_quantifiers)
        self._blocks.append(block)
        return block

    def _rows(self, table: Table) -> BlockTable:
        rows: dict[Hashable, RuleBlock | Row] = {}
        for value, rules in table.rules.items():
            blocks = tuple(self._block(chunk) for chunk in chunks(rules))
            rows[value] = blocks[0] if len(blocks) == 1 else Row(blocks)
        return BlockTable(table.dimension, rows, table.all)

    def _concerned(self, env: Env) -> tuple[list[RuleBlock], tuple[FaultyTable, ...]]:
        """The blocks that the tables give for a request, and the tables whose key is an attribute without a value. All
        rules of such a table read that attribute first."""
        blocks: list[RuleBlock] = []
        faulty: list[FaultyTable] = []
        for number, table in enumerate(self._tables):
            try:
                keys = _keys(table.dimension, self._site, env)
            except (EvaluationError, Fault) as error:
                if isinstance(table.dimension, ir.Attribute):
                    faulty.append((number, (error.code, error.message)))
                    continue
                # To find an entity by its own id takes no hierarchy.
                if number not in self._everything:
                    self._everything[number] = [
                        RuleBlock(-1, c, self._site, self._env, self._count_quantifiers) for c in chunks(table.all)
                    ]
                blocks += self._everything[number]
                continue
            for key in keys if len(keys) < len(table.rows) else [k for k in table.rows if k in keys]:
                row = table.rows.get(key)
                if row is not None:
                    blocks += blocks_of(row)
        return blocks, tuple(faulty)

    def _arguments(self, request: Request) -> tuple[Any, ...]:
        """The request as generated functions take it (`codegen.PARAMETERS`)."""
        principal, resource = request.principal, request.resource
        return (
            principal.attributes,
            resource.attributes,
            request.context,
            request.action.attributes,
            principal.uid.id,
            resource.uid.id,
            self._world.record(principal.uid),
            self._world.record(resource.uid),
        )


# Rules without a key that did not fit into the first function form a table. Its key is one that every request has.
_EVERY: Dimension = ("id", "action")


def _keys(dimension: Dimension, site: CallSite, env: Env) -> frozenset[Any]:
    """The values of a key in a request. Raises where it has none."""
    if isinstance(dimension, ir.Attribute):
        return frozenset({evaluate(dimension, env)})
    kind, root = dimension
    if dimension == _EVERY:
        return frozenset({site.action})
    entity: Entity = env.request.principal if root == "principal" else env.request.resource
    if kind == "id":
        return frozenset({entity.uid.id})
    return env.world.ancestors(entity) | {entity.uid}


def _chosen(rules: Sequence[Rule], mask: int) -> list[Rule]:
    return [rule for number, rule in enumerate(rules) if mask >> number & 1] if mask else []


def _name(rule: Rule) -> str:
    return rule.name


def _error(rule: Rule, env: Env) -> RuleError:
    """Why a rule erred, in the interpreter's words."""
    try:
        holds(rule, env)
    except EvaluationError as error:
        return rule_error(rule, error)
    # The two evaluators disagree, which no request should ever cause. The rule counts as an error.
    return RuleError(rule.name, codes.INTERNAL.id, "the rule could not be evaluated", str(rule.span))


def _is_constant(rule: Rule) -> bool:
    """Whether the obligations of the rule have the same values for every request."""
    return all(isinstance(expr, ir.Const) for spec in rule.obligations for _, expr in spec.properties)
