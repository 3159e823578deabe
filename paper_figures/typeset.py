# ruff: noqa: RUF001, RUF002 (what a reader sees is set with typographic signs)
"""Sentences with LaTeX-light mathematics, and numbers, as HTML that needs no scripts and no fonts of its own."""

from __future__ import annotations

import html
import math
import re

SYMBOLS = {
    "lambda": "λ", "mu": "μ", "tau": "τ", "kappa": "κ", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ",
    "eps": "ε", "epsilon": "ε", "theta": "θ", "rho": "ρ", "sigma": "σ", "eta": "η", "phi": "φ", "pi": "π", "Delta": "Δ",
    "sum": "∑", "prod": "∏", "nabla": "∇", "partial": "∂", "infty": "∞", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
    "neq": "≠", "ne": "≠", "in": "∈", "notin": "∉", "subset": "⊂", "cup": "∪", "cap": "∩", "to": "→", "cdot": "·",
    "times": "×", "pm": "±", "ldots": "…", "dots": "…", "approx": "≈", "forall": "∀", "exists": "∃", "iff": "⇔",
    "|": "‖", "{": "{", "}": "}", ",": " ", ";": " ", " ": " ", "quad": "  ", "lceil": "⌈", "rceil": "⌉", "lfloor": "⌊",
    "rfloor": "⌋", "left": "", "right": "", "mid": "|", "colon": ":", "Omega": "Ω",
}  # fmt: skip

PLAIN = {
    r"\b(lambda|rho|kappa|gamma|delta|eta|alpha|beta|theta|tau|mu)(?![A-Za-z0-9])": r"\\\1",
    r"\blam(?![A-Za-z0-9])": r"\\lambda", r"\bsum(?= ?\|| q\(|_)": r"\\sum",
    r"\^\(([^()]*)\)": r"^{\1}", r"_\(([^()]*)\)": r"_{(\1)}", r"_(\d+[a-z]*)": r"_{\1}",
    r"\bsqrt\(": "√(", r"\bsqrt ": "√", r"<=": "≤",
    r">=": "≥", r"->": "→", r"\+inf\b": "+∞", r" u (?=[({\\\.])": " ∪ ", r"\^(\d+)": r"^{\1}", r"\bceil t\b": "⌈t⌉",
}  # fmt: skip
"""What stands for what in ordinary sentences."""

NAME = re.compile(r"([A-Za-z]\w+(?:\.[A-Za-z_]\w+)+(?:\(\))?|[A-Za-z][A-Za-z0-9]+_[A-Za-z_]{2,})")
"""A name of code: parts joined by dots or underscores."""

TOKEN = re.compile(r"\\([a-zA-Z]+|.)|([_^])|([{}])|([A-Za-z]+)|(\s+)|(.)", re.DOTALL)
"""A command, a script mark, a brace, a word, white space, or any other character."""


def sentence(text: str) -> str:
    """HTML of a sentence in which mathematics is written in light LaTeX, without marks where it begins and ends.

    Single letters are italic (but for the article "a"), _ and ^ make subscripts and superscripts of the next symbol or
    of a group in braces, \\frac{a}{b} is a / b, \\sqrt{a} is a root with a line above a, a ' after a symbol is a prime;
    unknown commands are shown by their name.
    """
    tokens = [_Token(match) for match in TOKEN.finditer(text)]
    return _Typesetter(tokens).run()


def plain(text: str) -> str:
    """HTML of an ordinary sentence with formulas in plain characters: q(a + b) <= q(a) + q(b), sqrt t, lam, x^2, F_R.

    Names of code, such as so.certify.global_gap, are set as code.
    """
    pieces = NAME.split(text)  # odd entries are names
    return "".join(_name(piece) if i % 2 else sentence(_to_light(piece)) for i, piece in enumerate(pieces))


def _name(name: str) -> str:
    extreme = name.removeprefix("lambda_")
    return f"<i>λ</i><sub>{extreme}</sub>" if extreme in ("max", "min") else f"<code>{html.escape(name)}</code>"


def _to_light(text: str) -> str:
    text = re.sub(r"(?<![_^])\{([^{}]*)\}", r"\\{\1\\}", text)  # braces that make no script are to be seen
    for pattern, light in PLAIN.items():
        text = re.sub(pattern, light, text)
    return text


def number(value: float | None) -> str:
    """Two significant digits, as 1.2 × 10⁻⁵ where that is shorter; a dash for None, ∞ for infinity."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -3 <= exponent <= 3:
        return f"{value:.{max(1 - exponent, 0)}f}".replace("-", "−")
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa.replace('-', '−')}\u00a0×\u00a010<sup>{str(int(power)).replace('-', '−')}</sup>"


class _Token:
    """One token of a sentence; kind: command, script, brace, word, space or other."""

    def __init__(self, match: re.Match[str]) -> None:
        kinds = ("command", "script", "brace", "word", "space", "other")
        self.kind = next(kind for kind, group in zip(kinds, match.groups(), strict=True) if group is not None)
        self.text = next(group for group in match.groups() if group is not None)


class _Typesetter:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def run(self, until: str | None = None) -> str:
        """HTML up to the brace `until`, or to the end."""
        parts = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "brace" and token.text == until:
                self.at += 1
                break
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        """HTML of the next symbol, with a group in braces as one symbol."""
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "script":
            tag = "sub" if token.text == "_" else "sup"
            return f"<{tag}>{self._argument()}</{tag}>"
        if token.kind == "brace":
            return self.run("}") if token.text == "{" else ""
        if token.kind == "command":
            return self._command(token.text)
        if token.kind == "word":
            return self._word(token.text)
        marks = {"-": "−" if self._is_minus() else "-", "'": "′" if self._is_prime() else "'"}
        return marks.get(token.text, html.escape(token.text))

    def _argument(self) -> str:
        """The symbol or group after a command or a script mark, and white space before it."""
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "space":
            self.at += 1
        return self._next() if self.at < len(self.tokens) else ""

    def _command(self, name: str) -> str:
        if name == "frac":
            return f"{self._argument()} / {self._argument()}"
        if name == "sqrt":
            return f'√<span class="root">{self._argument()}</span>'
        symbol = html.escape(SYMBOLS.get(name, name))
        return f"<i>{symbol}</i>" if symbol.isalpha() and symbol.islower() and len(symbol) == 1 else symbol

    def _word(self, word: str) -> str:
        following = "".join(token.text for token in self.tokens[self.at : self.at + 2])
        entry = word.isupper() and following.removeprefix(".")[:1].isdigit()  # A3 and B.3 are names
        upright = entry or len(word) > 1 or self._is_article(word) or (word == "s" and self._before == "'")
        return word if upright else f"<i>{word}</i>"

    @property
    def _before(self) -> str:
        """Text of the token before the one just read."""
        return self.tokens[self.at - 2].text if self.at >= 2 else ""

    def _is_prime(self) -> bool:
        """Whether the apostrophe just read follows a symbol, its subscript or another prime, and is no genitive."""
        before = self.tokens[self.at - 2] if self.at >= 2 else None
        after = self.tokens[self.at].text if self.at < len(self.tokens) else ""
        symbol = before is not None and ((len(before.text) == 1 and before.kind != "space") or before.kind == "command")
        return symbol and after != "s"

    def _is_article(self, word: str) -> bool:
        """Whether an "a" begins the text or follows a space, and stands before a word, or between a word and a name.

        So in "a mask", "A k-sparse point" at the beginning, and "is a 2/3-quasinorm".
        """
        here, following = self.at - 1, self.tokens[self.at : self.at + 2]
        if word not in "aA" or len(following) < 2 or following[0].kind != "space":
            return False
        if following[1].kind == "word" and (len(following[1].text) > 1 or here == 0):
            return True
        after_word = here >= 2 and self.tokens[here - 1].kind == "space" and self.tokens[here - 2].kind == "word"
        return after_word and len(self.tokens[here - 2].text) > 1 and following[1].text.isalnum()

    def _is_minus(self) -> bool:
        """Whether the hyphen just read joins no two words, one of them longer than a letter."""
        before = self.tokens[self.at - 2] if self.at >= 2 else None
        after = self.tokens[self.at] if self.at < len(self.tokens) else None
        if after is None or after.kind != "word" or before is None:
            return True
        word = before.kind == "word" and len(before.text) > 1  # top-k
        named = before.kind in ("word", "command") or before.text.isdigit()
        word = word or (named and len(after.text) > 1)  # mu-strongly, 10-fold
        return not (word or self._is_compound())

    def _is_compound(self) -> bool:
        """Whether the letter after the hyphen is joined to a word by another one, as in 2/3-k-support."""
        following = [token.text for token in self.tokens[self.at + 1 : self.at + 3]]
        return len(following) == 2 and following[0] == "-" and following[1].isalpha() and len(following[1]) > 1
