"""From trees and a schema to typed policies.

In: the modules of a bundle and their schema. Out: a Checked with the findings and, only if none of them is an error,
the PolicySet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from policyengine.check.cases import KnownNames, check_fixture, check_test
from policyengine.check.environment import Findings, Place, TooLarge, TypeEnv
from policyengine.check.expressions import check_expression
from policyengine.check.functions import FUNCTIONS
from policyengine.check.heads import open_place
from policyengine.check.known_names import lint_known_names
from policyengine.check.lints import (
    asks,
    lint_defines,
    lint_fixtures,
    lint_granted,
    lint_parameters,
    lint_rule,
    lint_rules,
)
from policyengine.check.lookalikes import lint_twin_names, lint_twin_texts
from policyengine.check.module_results import Defines, ModuleRules, NoResults, Results
from policyengine.check.path_tests import lint_paths
from policyengine.check.patterns import patterns_of
from policyengine.check.rules import check_proof, check_rule, report_too_large, report_too_much
from policyengine.check.sizes import Sizes, conditions
from policyengine.check.whole_actions import refuse_whole_actions
from policyengine.check.written_types import param_type
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, Note, has_errors, in_order
from policyengine.ir.cases import TestCase
from policyengine.ir.footprint import expressions
from policyengine.ir.nodes import Local, PolicySet, Proof, Rule
from policyengine.model.operators import MAX_PATTERNS
from policyengine.model.values import Uid
from policyengine.schema.declare import SOURCES, ModuleTree
from policyengine.schema.schema import Schema
from policyengine.syntax import ast

NOTHING = NoResults()


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings, and the policies if no finding is an error."""

    policies: PolicySet | None
    diagnostics: tuple[Diagnostic, ...]


def check(
    modules: Sequence[ModuleTree],
    schema: Schema,
    earlier: Sequence[Diagnostic] = (),
    results: Results = NOTHING,
) -> Checked:
    """Check every rule, claim and test. `earlier` holds the findings of the stages before: if one of them is an error,
    there are no policies either. `results` supplies the results of earlier checks and receives the results of this
    one."""
    findings = Findings()
    findings.lost = _lost(modules, schema)
    defines = {module.name: _defines(module, modules, schema, findings) for module in modules}
    places = {m.name: open_place(m.name, m.visible, schema, defines[m.name], findings) for m in modules}
    checked_modules: list[ModuleRules] = []
    for module in modules:
        known = results.recall(module, schema, defines[module.name])
        if known is not None and findings.left(known.written, len(known.rules)) < 0:
            # The rules together exceed the bound, which is reported where that happens.
            known = None
        if known is not None:
            findings.written, findings.rules = findings.written + known.written, findings.rules + len(known.rules)
            findings.diagnostics += known.diagnostics
            findings.used_defines |= known.used_defines
        result = known or _check_module(results.whole(module), places[module.name])
        # After an error, later checks may have been made with incomplete information.
        if known is None and not has_errors(findings.diagnostics):
            results.keep(module, schema, defines[module.name], result)
        checked_modules.append(result)
    if sum(result.patterns for result in checked_modules) > MAX_PATTERNS:
        _too_many_patterns(modules, checked_modules, findings)
    names = {name: span for result in checked_modules for name, span in result.names.items()}
    tests, idle = _tests(modules, places, frozenset(names), findings)
    unused = _unused_defines(modules, places, findings)
    diagnostics = [*earlier, *findings.diagnostics]
    if has_errors(diagnostics):
        return Checked(None, _each_use_once(in_order(diagnostics)))
    rules = [rule for result in checked_modules for rule in result.rules]
    lint_defines(unused, findings)
    lint_fixtures(idle, findings)
    for module in modules:
        for statement in module.tree.statements:
            if isinstance(statement, ast.Define):
                lint_parameters(statement, findings)
    findings.diagnostics += [lint for result in checked_modules for lint in result.lints]
    in_force = [rule for rule in rules if not rule.tried]
    lint_rules(
        in_force, names, {name: asked for result in checked_modules for name, asked in result.asks.items()}, findings
    )
    lint_granted(rules, names, findings)
    lint_twin_names(modules, findings)
    facts = tuple((Uid("Tool", t.name), tuple(sorted(t.facts.items()))) for _, t in sorted(schema.tools.items()))
    owed = frozenset().union(*(result.owed for result in checked_modules))
    policies = PolicySet(
        rules=tuple(sorted((rule for rule in rules if not rule.tried), key=lambda r: r.name)),
        facts=tuple((uid, items) for uid, items in facts if items),
        proofs=tuple(sorted((proof for result in checked_modules for proof in result.proofs), key=lambda p: p.name)),
        tests=tests,
        obligations=tuple(sorted(owed)),
        tried=tuple(sorted((rule for rule in rules if rule.tried), key=lambda r: r.name)),
    )
    return Checked(policies, in_order([*earlier, *findings.diagnostics]))


def _check_module(tree: ast.Module, place: Place) -> ModuleRules:
    """Check the rules and claims of one module."""
    findings = place.findings
    since, used_before = len(findings.diagnostics), findings.used_defines
    sizes, written = Sizes(place.defines), findings.written
    findings.used_defines = set()
    rules: list[Rule] = []
    trees: dict[str, ast.Rule] = {}
    proofs: list[Proof] = []
    names: dict[str, ast.Name] = {}
    for statement in tree.statements:
        if not isinstance(statement, ast.Rule | ast.Prove) or not _fresh(statement.name, names, findings):
            continue
        findings.nodes = findings.slots = 0
        if not _fits(statement, sizes, place):
            continue
        if isinstance(statement, ast.Rule):
            rule = check_rule(statement, place)
            if rule is not None:
                refuse_whole_actions(expressions(rule), findings)
                rules.append(rule)
                trees[rule.name] = statement
        elif (proof := check_proof(statement, place)) is not None:
            refuse_whole_actions((proof.condition,), findings)
            proofs.append(proof)
    used = frozenset(findings.used_defines)
    lints = Findings()
    labels = [tree.name.text for tree in trees.values() if tree.kind == "label"]
    in_force = {rule.name.rpartition(".")[2] for rule in rules if rule.kind == "label" and not rule.tried}
    tried = {rule.name.rpartition(".")[2] for rule in rules if rule.kind == "label" and rule.tried} - in_force
    sources = [*SOURCES, *place.schema.tools]
    for rule in rules:
        lint_rule(rule, trees[rule.name], lints)
        lint_paths(rule, lints)
        lint_known_names(rule, labels, tried, sources, lints)
    lint_twin_texts(rules, lints)
    findings.used_defines = used_before | used
    diagnostics = tuple(findings.diagnostics[since:])
    return ModuleRules(
        rules=tuple(rules),
        names={name: tree.name.span for name, tree in trees.items()},
        asks={rule.name: asks(rule) for rule in rules if rule.kind in ("permit", "forbid")},
        owed=frozenset(o.type for rule in rules if not rule.tried for o in rule.obligations),
        proofs=tuple(proofs),
        diagnostics=diagnostics,
        lints=tuple(lints.diagnostics),
        used_defines=used,
        written=findings.written - written,
        patterns=len(patterns_of(rules)),
    )


def _too_many_patterns(modules: Sequence[ModuleTree], found: Sequence[ModuleRules], findings: Findings) -> None:
    most = max(range(len(found)), key=lambda number: found[number].patterns)
    span = modules[most].tree.span
    findings.report(
        codes.TOO_MANY_PATTERNS, span.source.span(span.start, span.start),
        f"the policies have more than {MAX_PATTERNS:,} patterns, {found[most].patterns:,} of them here", "",
        "compare with `in`, or join patterns with `|`",
    )  # fmt: skip


def _fits(tree: ast.Rule | ast.Prove, sizes: Sizes, place: Place) -> bool:
    """Whether a rule or claim, and all of them so far, are small enough to be written out. This is known before
    anything is."""
    findings, own = place.findings, sizes.of(conditions(tree))
    written = sizes.written(own)
    findings.rules += 1
    if sizes.is_too_large(own):
        report_too_large(tree.name, place)
    elif findings.left(written) < 0:
        if not findings.exhausted:
            report_too_much(tree.name, place)
        findings.exhausted = True
    else:
        findings.written += written
        return True
    findings.used_defines |= sizes.used(own)
    return False


def _fresh(name: ast.Name, names: dict[str, ast.Name], findings: Findings) -> bool:
    if name.text in names:
        note = Note(names[name.text].span, "first declared here")
        findings.report(codes.DUPLICATE, name.span, f"rule `{name.text}` is declared twice", "", "", note)
        return False
    names[name.text] = name
    return True


def _defines(module: ModuleTree, modules: Sequence[ModuleTree], schema: Schema, findings: Findings) -> Defines:
    """The definitions that a module can use: its own, and those of the modules that it uses."""
    defines: dict[str, tuple[str, ast.Define]] = {}
    taken = {"principal", "action", "resource", "context", *schema.context, *FUNCTIONS}
    aliases = {name.lower() for name, entity in schema.entities.items() if entity.module in module.visible}
    visible = (other for other in modules if other.name in module.visible)
    for other in sorted(visible, key=lambda m: (m.name != module.name, m.name)):
        for statement in other.tree.statements:
            if not isinstance(statement, ast.Define):
                continue
            name = statement.name
            if other.name == module.name and name.text in taken | aliases:
                findings.refused.add(name.text)
                findings.report(
                    codes.RESERVED, name.span, f"`{name.text}` already has a meaning", "", "use another name"
                )
            elif other.name == module.name and not _fresh_params(statement, taken, findings):
                defines.setdefault(name.text, (other.name, statement))
            elif other.name == module.name and name.text in defines:
                note = Note(defines[name.text][1].name.span, "first declared here")
                findings.report(codes.DUPLICATE, name.span, f"`{name.text}` is defined twice", "", "", note)
            else:
                defines.setdefault(name.text, (other.name, statement))
    return defines


def _fresh_params(define: ast.Define, taken: Collection[str], findings: Findings) -> bool:
    """Whether no parameter hides a name with another meaning; reports a finding for each that does."""
    seen: set[str] = set()
    for param in define.params:
        name = param.name
        if name.text in seen:
            findings.report(codes.DUPLICATE, name.span, f"parameter `{name.text}` is declared twice")
            return False
        if name.text in taken:
            findings.report(codes.RESERVED, name.span, f"`{name.text}` already has a meaning", "", "use another name")
            return False
        seen.add(name.text)
    return True


def _unused_defines(modules: Sequence[ModuleTree], places: Mapping[str, Place], findings: Findings) -> list[ast.Define]:
    """The definitions that nobody uses. Each is checked all the same, as far as that is possible without knowing where
    it would be used."""
    unused = []
    for module in modules:
        sizes = Sizes(places[module.name].defines)
        for statement in module.tree.statements:
            if not isinstance(statement, ast.Define) or (module.name, statement.name.text) in findings.used_defines:
                continue
            if places[module.name].defines.get(statement.name.text) != (module.name, statement):
                continue
            unused.append(statement)
            findings.nodes = 0
            own = sizes.of((statement.body,))
            if sizes.is_too_large(own):
                report_too_large(statement.name, places[module.name])
                findings.used_defines |= sizes.used(own)
                continue
            written = sizes.written(own)
            if findings.left(written) < 0:
                continue
            findings.written += written
            env = TypeEnv(places[module.name], expanding=(statement.name.text,))
            for param in statement.params:
                local = Local(
                    name=param.name.text,
                    slot=findings.next_slot(),
                    type=param_type(param.type, env),
                    span=param.span,
                )
                env = env.binding(param.name.text, local)
            since = len(findings.diagnostics)
            try:
                check_expression(statement.body, env)
            except TooLarge:
                report_too_large(statement.name, places[module.name])
            # Whether an attribute is present, and which of its types applies, is known only where a definition is used.
            of_place = (codes.MAYBE_ABSENT, codes.SEVERAL_TYPES, codes.NOT_FROM_SOURCE, codes.NOT_CONSTANT)
            findings.diagnostics[since:] = [d for d in findings.diagnostics[since:] if d.code not in of_place]
    return unused


def _each_use_once(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """A missing `use` is one mistake and is reported where it first shows; a misspelt one has already been reported."""
    misspelled = {d.span.source.path for d in diagnostics if d.code is codes.UNKNOWN_MODULE}
    kept: dict[object, Diagnostic] = {}
    for d in diagnostics:
        missing_use = d.help.startswith("add `use ")
        if not (missing_use and d.span.source.path in misspelled):
            kept.setdefault((d.span.source.path, d.help) if missing_use else id(d), d)
    return tuple(kept.values())


def _lost(modules: Sequence[ModuleTree], schema: Schema) -> frozenset[str]:
    """The attributes that `extend` adds to a type that does not exist."""
    extends = [s for m in modules for s in m.tree.statements if isinstance(s, ast.ExtendDecl)]
    return frozenset(f.name.text for s in extends if s.name.text not in schema.entities for f in s.fields)


def _tests(
    modules: Sequence[ModuleTree], places: Mapping[str, Place], rules: frozenset[str], findings: Findings
) -> tuple[tuple[TestCase, ...], list[ast.Fixture]]:
    """The tests, and the fixtures that none of them uses."""
    cases: list[TestCase] = []
    own = {module.name: _fixtures(module, findings) for module in modules}
    used: set[int] = set()
    for module in modules:
        # A module's own fixtures take precedence over those of the modules that it uses.
        seen = [own[name] for name in sorted(module.visible - {module.name}, reverse=True) if name in own]
        fixtures = {name: fixture for one in (*seen, own[module.name]) for name, fixture in one.items()}
        known = KnownNames(rules, fixtures)
        for statement in module.tree.statements:
            if isinstance(statement, ast.Test):
                cases += check_test(statement, places[module.name], known)
        used |= {id(fixtures[name]) for name in known.used}
    return tuple(cases), [f for one in own.values() for f in one.values() if id(f) not in used]


def _fixtures(module: ModuleTree, findings: Findings) -> dict[str, ast.Fixture]:
    fixtures: dict[str, ast.Fixture] = {}
    for statement in module.tree.statements:
        if isinstance(statement, ast.Fixture):
            check_fixture(statement, findings)
            first = fixtures.setdefault(statement.name.text, statement)
            if first is not statement:
                note = Note(first.name.span, "first declared here")
                message = f"fixture `{statement.name.text}` is declared twice"
                findings.report(codes.DUPLICATE, statement.name.span, message, "", "", note)
    return fixtures
