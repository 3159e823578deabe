# ruff: noqa: RUF001 (what a reader sees is set with typographic signs)
"""Light LaTeX, plain formulas and numbers as HTML."""

import math

import pytest

from paper_figures.typeset import number, plain, sentence

SENTENCES = {
    r"\lambda > 0": "<i>λ</i> &gt; 0",
    r"\sum_g \|u_g\|": "∑<sub><i>g</i></sub> ‖<i>u</i><sub><i>g</i></sub>‖",
    r"q^{-1}(y)": "<i>q</i><sup>−1</sup>(<i>y</i>)",
    r"\inf\{t : q(t) \ge y\}": "inf{<i>t</i> : <i>q</i>(<i>t</i>) ≥ <i>y</i>}",
    r"b^* is a point, a > 0": "<i>b</i><sup>*</sup> is a point, <i>a</i> &gt; 0",
    r"\mu-strongly convex, one-group": "<i>μ</i>-strongly convex, one-group",
    r"\frac{a}{b} - \sqrt{c}": '<i>a</i> / <i>b</i> − √<span class="root"><i>c</i></span>',
    r"e^{-\sqrt 3} \le q''": '<i>e</i><sup>−√<span class="root">3</span></sup> ≤ <i>q</i>′′',
    r"X_g'r, \tau-d": "<i>X</i><sub><i>g</i></sub>′<i>r</i>, <i>τ</i>−<i>d</i>",
    "<script>": "&lt;script&gt;",
    r"\unknown": "unknown",
    "x_": "<i>x</i><sub></sub>",
    r"\{ unbalanced {": "{ unbalanced ",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences(text):
    assert sentence(text) == SENTENCES[text]


PLAIN = {
    "q(a + b) <= q(a) + q(b)": "<i>q</i>(<i>a</i> + <i>b</i>) ≤ <i>q</i>(<i>a</i>) + <i>q</i>(<i>b</i>)",
    "for lam >= lambda_max": "for <i>λ</i> ≥ <i>λ</i><sub>max</sub>",
    "by so.certify.global_gap": "by <code>so.certify.global_gap</code>",
    "(x - 1)^2/2 + sqrt t": "(<i>x</i> − 1)<sup>2</sup>/2 + √<i>t</i>",
    "the range {0} u (1, 2]": "the range {0} ∪ (1, 2]",
    "A3, B.3 as lambda -> 0, lambda_min(H)": "A3, B.3 as <i>λ</i> → 0, <i>λ</i><sub>min</sub>(<i>H</i>)",
    "(2a)^(1/3), x_(k+1), delta_3s, mu_B": "(2<i>a</i>)<sup>1/3</sup>, <i>x</i><sub>(<i>k</i>+1)</sub>, "
    "<i>δ</i><sub>3<i>s</i></sub>, <i>μ</i><sub><i>B</i></sub>",
    "|beta| = sum |u_g|": "|<i>β</i>| = ∑ |<i>u</i><sub><i>g</i></sub>|",
    "the sum of q, 10-fold": "the sum of <i>q</i>, 10-fold",
    "the window's width": "the window's width",
    "top-k, max-min, n-k": "top-<i>k</i>, max-min, <i>n</i>−<i>k</i>",
    "A k-sparse point is a 2/3-k-support point": "A <i>k</i>-sparse point is a 2/3-<i>k</i>-support point",
    "the l_{2/3} norm of {0}": "the <i>l</i><sub>2/3</sub> norm of {0}",
}


@pytest.mark.parametrize("text", PLAIN)
def test_plain_sentences(text):
    assert plain(text) == PLAIN[text]


NUMBERS = [
    (0.0, "0"),
    (0.51234, "0.51"),
    (12.3, "12"),
    (-0.004, "−0.0040"),
    (1.23e-17, "1.2\u00a0×\u00a010<sup>−17</sup>"),
    (-4.56e20, "−4.6\u00a0×\u00a010<sup>20</sup>"),
    (math.inf, "∞"),
    (None, "–"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_numbers(value, text):
    assert number(value) == text
