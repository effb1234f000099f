"""Bundles for the load workload: rules such as people write them, in files of fifty.

Every rule is different, and the first of each file has a number in it that an edit can change.
"""

from __future__ import annotations

from pathlib import Path

RULES_PER_FILE = 50

RULES = (
    """\
permit small_{i}: call on Tool::"tool_{i}" for User
  when "support" in principal.roles and tool.args.amount > 0 and tool.args.amount <= {amount}
""",
    """\
permit cleared_{i}: retrieve on Document for [User, Service]
  when document.tenant == "t{i}" and document.tenant == principal.tenant and document.classification <= {level}
""",
    """\
forbid hold_{i}: retrieve on Document
  when "hold_{i}" in document.labels
  unless principal in Group::"legal_{i}"
  because "the document is on hold {i}"
""",
    """\
require approval_{i}: call on Tool::"tool_{i}"
  when tool.args.amount > {level}
  approval(by: Group::"finance_{i}", within: 15m)
""",
    """\
permit model_{i}: invoke on Model for User
  when model.provider == "provider_{i}" and (principal in Group::"g{i}" or email_domain(principal.email) == "a{i}.com")
""",
)

REQUEST = {
    "principal": {"type": "User", "id": "ann", "tenant": "t1", "roles": ["support"], "email": "ann@a1.com"},
    "action": "call",
    "resource": {"type": "Tool", "id": "tool_0", "args": {"amount": 1}},
}


def write(home: Path, rules: int) -> list[Path]:
    """A bundle with so many rules; the files it is made of."""
    files = []
    for number, start in enumerate(range(0, rules, RULES_PER_FILE)):
        file = home / f"part_{number:03}.pol"
        file.write_text(text(number, range(start, min(rules, start + RULES_PER_FILE))), encoding="utf-8")
        files.append(file)
    return files


def text(number: int, rules: range, amount: int = 5000) -> str:
    parts = [f"module part_{number}\n\nuse ai\n"]
    for i in rules:
        template = RULES[i % len(RULES)]
        parts.append(template.format(i=i, amount=amount, level=i % 6))
    return "\n".join(parts)


def python(rules: int) -> str:
    """As many hand-written functions as Python, doing what the rules do: what compiling them takes is the floor."""
    return "\n".join(
        f"def rule_{i}(principal, resource):\n    {PYTHON[i % len(PYTHON)].format(i=i)}" for i in range(rules)
    )


PYTHON = (
    'return "support" in principal["roles"] and 0 < resource["args"]["amount"] <= 5000',
    'return resource["tenant"] == "t{i}" == principal["tenant"] and resource["classification"] <= 3',
    'return "hold_{i}" in resource["labels"] and "legal_{i}" not in principal["groups"]',
    'return ("approval", "finance_{i}", 900) if resource["args"]["amount"] > 3 else None',
    (
        'return resource["provider"] == "provider_{i}"'
        ' and ("g{i}" in principal["groups"] or principal["email"].endswith("@a{i}.com"))'
    ),
)
