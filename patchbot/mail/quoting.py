"""Tell which lines of a mail its sender wrote, and which are quoted, forwarded or pasted.

Mail programs agree on `>` and on little else: some put the whole answered mail below a few lines of its header, or
below a line that says who wrote it when, in any language, and mark none of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

#: The mark of nearly all programs on a line of somebody else's text, some with initials before it.
QUOTE = re.compile(r"\s*(?:[A-Za-z]{0,4}[>|»›│┃❯＞]|:[ \t]*>)")
SIGNATURE = re.compile(r"(?:- )?--[ \t]*")
FOREIGN = re.compile(
    r"diff --git |(?:--- |\+\+\+ )(?:a/|b/|/dev/null)|@@ -\d|commit [0-9a-f]{12,64}(?: \(.*\)|,? upstream\.?)?\s*$"
    r"|\[ ?[Uu]pstream commit "
    r"|From [0-9a-f]{12,64} (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) |-{2,}[ \t]*(?:8<|>8|✂)|(?:8<|>8)[ \t]*-{2,}"
    r"|_{10,}[ \t]*$|-{3,}[ \t]*[^\s-](?:.*[^\s-])?[ \t]*-{3,}[ \t]*$"
    r"|-{2,} ?(?:Original|Forwarded|Weitergeleitete|Ursprüngliche) (?:[Mm]essage|Nachricht)|Begin forwarded message:"
)
SIGNED = re.compile(r"-----BEGIN PGP SIGNED MESSAGE-----\s*")
#: A header line as a mail program shows it; the name may be in any language, and bold.
FIELD = re.compile(r"[*_\s]{0,4}(?P<name>[^\W\d_][\w.'’ -]{0,30}?)[ *_]{0,4}:[ *_]{0,4}(?P<value>\S.*)?")
NAMES = frozenset(
    """from sent date to cc bcc subject reply-to importance priority attachments
    von gesendet datum an betreff de envoyé date à objet cc para enviado fecha asunto assunto data da inviato a oggetto
    van verzonden aan onderwerp från skickat till ämne fra sendt til emne dato od wysłano do temat odesláno komu předmět
    lähettäjä lähetetty vastaanottaja aihe от отправлено кому тема дата від надіслано feladó elküldve címzett tárgy
    kimden gönderildi tarih kime konu 发件人 发送时间 收件人 抄送 主题 日期 寄件者 收件者 主旨 差出人 送信日時 宛先 件名
    日時 보낸사람 받는사람 제목 날짜 από προς θέμα מאת אל נושא من إلى الموضوع""".split()  # noqa: SIM905
)
ADDRESSED = re.compile(r"[^\s<>@]@[^\s<>@]")
DATED = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[:.h]\d\d\b|年")
POSTED = re.compile(r"\[[^\]]*(?:PATCH|RFC)", re.I)
WROTE = re.compile(
    r"\b(?:wrote|writes|written by|schrieb|schreibt|geschrieben|écrit|escribió|escribe|ha scritto|scrive|schreef|skrev"
    r"|skriver|napisał\(?a?\)?|napsala?|napsal\(a\)|escreveu|kirjoitti|yazdı|írta|пишет|писала?|написала?|написав"
    r"|a scris|έγραψε)\b|写道|寫道|のメール|さんは書きました|작성|כתב|كتب",
    re.I,
)
ENDS = (":", "：", "wrote")
#: Fields of a commit message, not of the header of a mail.
BY = re.compile(r"(?:[\w-]+-by|fixes|link|closes|change-id|base-commit)\b", re.I)
MOST_HEADER = 14


@dataclass(frozen=True)
class Line:
    """A line of a mail: quoted with a mark, below a line that begins somebody else's text, or the sender's own."""

    text: str
    quoted: bool = False
    below: str = ""

    @property
    def own(self) -> bool:
        """Say whether the sender wrote it."""
        return not self.quoted and not self.below


def plain(text: str) -> str:
    """Return text with look-alikes of blanks, hyphens, colons and nothing replaced by what they look like."""
    if text.isascii():
        return text
    out = []
    for char in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(char)
        if kind == "Zs":
            out.append(" ")
        elif kind == "Pd" or char == "\u2212":
            out.append("-")
        elif kind != "Cf":
            out.append(":" if char in "∶ː꞉" else char)
    return "".join(out)


def read_lines(text: str) -> list[Line]:
    """Return the lines of one of a mail's texts, each with its author, followed by a blank one."""
    lines = text.split("\n")
    found: list[Line] = []
    below = ""
    for number, line in enumerate(lines):
        blank = not line or line.isspace()
        quoted = not blank and QUOTE.match(line) is not None
        if not blank and not quoted:
            below = below or begins_foreign(lines, number)
        found.append(Line("" if blank else line, quoted, below))
    return [*found, Line("")]


def begins_foreign(lines: Sequence[str], number: int) -> str:
    """Return the line `number` if the text after it is not the sender's own, else ""."""
    line = lines[number]
    if SIGNATURE.fullmatch(line) or (FOREIGN.match(line) and not SIGNED.fullmatch(line)):
        return line.strip()
    if (":" in line or "：" in line) and begins_header(lines, number):
        return line.strip()
    return line.strip() if introduces(lines, number) else ""


def begins_header(lines: Sequence[str], number: int) -> bool:
    """Say whether the header of another mail begins here: on one line, or a field a line, in any order and language."""
    first = plain(lines[number])
    match = FIELD.fullmatch(first)
    if match is None:
        return False
    values: list[str] = []
    known = fields = blanks = 0
    for raw in lines[number : number + MOST_HEADER]:
        line = plain(raw)
        match = FIELD.fullmatch(line)
        if not line.strip():
            blanks += 1
            if blanks > fields or not known:
                break
            continue
        if match is None or BY.fullmatch(match["name"]):
            if fields and (line[:1].isspace() or ADDRESSED.search(line)) and not BY.match(line.strip()):
                continue  # the rest of a long To:
            break
        name = match["name"].replace(" ", "").lower()
        if blanks and name not in NAMES:
            break
        fields += 1
        known += name in NAMES
        values.append(match["value"] or "")
    text = "\n".join(values)
    signs = sum(bool(pattern.search(text)) for pattern in (ADDRESSED, DATED, POSTED))
    if known >= 3 or (known >= 2 and signs):
        return True
    if fields >= 3 and signs >= 2:
        return True
    words = [word.strip("*_") for word in first.split()]
    inline = sum(word.endswith(":") and word[:-1].lower() in NAMES for word in words)
    alone = re.match(r"[*_\s]{0,4}(?:from|author)[*_ ]{0,4}:", first, re.I) is not None
    return inline >= 3 or (alone and ADDRESSED.search(first) is not None)


def introduces(lines: Sequence[str], number: int) -> bool:
    """Say whether this line names the author of the text after it, which is not marked as quoted."""
    if not any(line.rstrip("*_ \t\r").endswith(ENDS) for line in lines[number : number + 3]):
        return False
    if BY.match(lines[number].strip()):
        return False
    for last in range(number, min(number + 3, len(lines))):
        text = " ".join(plain(line).strip() for line in lines[number : last + 1])
        if not lines[last].strip():
            return False
        end = text.rstrip("*_ ")
        who, when = ADDRESSED.search(end), DATED.search(end)
        if end.endswith(":") and (WROTE.search(end) or (who and when)):
            break
        if end.lower().endswith(" wrote") and (who or when):
            break
    else:
        return False
    following = next((line for line in lines[last + 1 :] if line.strip()), "")
    return bool(following) and not QUOTE.match(following)
