"""Find words that limit a tag or take it back, as far as a pattern can know them.

Each pattern errs on the side of doubt: a tag that is held back wrongly is named and costs a person a look, one that is
let through wrongly ends up in the kernel. The text is a line or two, never longer than parts.MOST_LINE each.
"""

from __future__ import annotations

import re

from .quoting import plain

DONE = (
    r"(?:fix|address|chang|correct|resolv|updat|remov|add|done|renam|reword|rephras|adjust|handl|sort|clean|dropp|split"
    r"|squash|clarif|repost|resen|respin|rebas|merg|applied|land|include|taken care of)"
)
TAGS = (
    r"(?:tags?|trailers?|(?:review|ack|test|suggest)(?:ed)?[ -]?by(?:'?s)?|[rat]-?bs?|acks?|acked|approval"
    r"|reviews?(?! (?:comments?|feedback|remarks?|notes?))"
    r"|endorsement|lgtm)\b"
)
WHOSE = (
    r"(?: (?:my|the|this|that|those|these|it|all|any|of|our|previous|earlier|prior|old|above|below|last|own|former"
    r"|premature|first|v\d{1,4}|\W{1,3})){0,5} ?"
)


def patterns(*parts: str) -> re.Pattern[str]:
    """Return one pattern for any of the parts."""
    return re.compile("|".join(parts), re.I)


#: Right above or below a tag, any of these may be a condition.
NEARBY = patterns(
    r"\b(?:if|once(?! again| more)|provided|providing|assuming|modulo|unless|except|nits?|typos?|other than)\b",
    r"\b(?:apart from|aside from|(?:as|so) long as|as soon as|conditional(?:ly)?|contingent|subject to|pending)\b",
    r"\b(?:until|untested|tentative(?:ly)?|barring|should you|in case)\b|(?:^|[.!?;>] )(?:otherwise|besides|minus)\b",
    rf"(?:\b(?:with|after|when)\b|\bw/)[^.]{{0,80}}\b{DONE}",
)
#: These are conditions anywhere in the mail.
ANYWHERE = patterns(
    rf"\b(?:if|once|when|after|provided|assuming|with)\b[^.?]{{0,60}}\b{DONE}[a-z]{{0,4}}\b[^.?]{{0,80}}"
    rf"\b(?:{TAGS}|add|have|take|keep|carry|ok|fine|good|happy|ready)",
    rf"\b(?:{TAGS}|add|have|take|keep|carry|ok|fine|good|happy|ready)\b[^.?]{{0,60}}"
    rf"\b(?:if|once|after|provided|assuming|with|as long as|unless|until)\b[^.?]{{0,60}}\b{DONE}",
    rf"\b(?:if|once|provided|assuming|until|unless)\b[^.?]{{0,60}}\btested\b[^.?]{{0,80}}\b(?:{TAGS}|add|have|take|keep)",
    r"\b(?:do not|don't) (?:merge|apply|queue|pick|take)(?: up)?(?: (?:this|it|these|yet|for now|until|before)\b|\W*$)",
    r"\b(?:conditional|provided that|assuming that|on condition|as long as you|modulo)\b",
    r"\b(?:my|the|this) (?:tag|trailer|ack|r-?b|[a-z]{1,12}-by)\b[^.]{0,40}"
    r"\b(?:if|once|unless|until|assuming|provided|only|when|after)\b",
    r"\bplease (?:first )?(?:fix|address|change|correct|resolve|do not apply|don't apply|wait|hold off)\b",
    rf"\b(?:needs?|have|has|must|should) (?:to )?be {DONE}",
    r"\bneeds? (?:fixing|changing|work|a respin|another version|a v\d)",
)
#: Somebody takes back a tag.
BACK = patterns(
    r"\b(?:drop|pull|strike|ignor|revok|retract|withdr[ae]w|rescind|remov|cancel|disregard|discard|forget|strip|scratch|delet|undo"
    rf"|invalidat|void)(?:e|es|ed|n|al|ing|ping|ped)?(?: about)?{WHOSE}{TAGS}",
    r"\b(?:do not|don't|never|not to|stop|cannot|can't|won't|not|no longer)(?: [a-z]{1,12})? (?:add|carry|apply|use"
    rf"|take|keep|pick|include|count|consider|give|offer|treat|put|want)(?:ing)?(?: up)?{WHOSE}{TAGS}",
    rf"\b(?:tak(?:e|ing|en)|took) back{WHOSE}(?:{TAGS}|what|everything)",
    r"\b(?:tak(?:e|ing|en)|took) (?:it|this|that|them|these|those|all of (?:it|that|them)) ?back\b",
    rf"\b(?:tak(?:e|ing|en)|took){WHOSE}{TAGS} ?back\b",
    rf"\b{TAGS}[^.]{{0,30}}\b(?:no longer|not any ?more|doesn't|does not|don't|do not|isn't|is not|was (?:a|wrong"
    r"|premature|only|for v)|(?:is|are) (?:void|withdrawn|revoked|retracted|gone|off|invalid))",
    r"\b(?:I|must|have to|need to|want to|would like to|hereby)\b[^.]{0,20}"
    r"\b(?:revok|retract|rescind|withdraw|un-?ack|un-?review)",
    r"^\W{0,9}(?:revok|retract|rescind|withdraw)[a-z]{0,5}\b",
    r"\bun-?(?:ack|review)|\bnot[- ](?:yet )?(?:acked|reviewed|tested)\b|\bnot an? (?:ack|review|tag)",
    r"\b(?:changed my mind|second thoughts?|placeholder)\b",
    rf"\b(?:sent|gave|given|was|{TAGS})\b[^.]{{0,20}}\b(?:by mistake|in error|too early|too soon|prematurely)\b",
    rf"\b(?:no longer|rather not|hold (?:back|off)|sorry)\b[^.]{{0,40}}\b(?:my|the|this) (?:[a-z]{{1,12}} )?{TAGS}",
    rf"\b(?:my|the|this) (?:[a-z]{{1,12}} )?{TAGS}[^.]{{0,40}}\b(?:withdrawn|void|revoked|retracted|out|off|away)\b",
    r"\bwithout my (?:tag|ack|[a-z]{1,12}-by)\b",
    r"\b(?:it|that|this|which) (?:does not|doesn't|no longer) (?:holds?\b|stands?\b"
    r"|(?:applies|apply) to (?:this|the new|v\d))",
    r"\b(?:never|did not|didn't|have not|haven't)(?: yet)? (?:(?:gave|given?|sen[dt]) (?:it|that|such|any|a|my)"
    r"|(?:gave|given?|sen[dt]|reviewed|review|acked|ack) this)\b"
    r"(?! (?:a )?(?:try|test|spin|go|before)\b)",
    rf"\b(?:never|did not|didn't) (?:gave|give|sen[dt]) you (?:my|any|that|such an?|an?|this) {TAGS}",
    rf"\b(?:remove|drop|strip|take) me (?:from|off|out of)(?: (?:the|your|these|those|all|of))* {TAGS}",
)
#: Somebody takes back an objection.
RELENTED = patterns(
    r"\b(?:withdraw|tak(?:e|ing) back|drop|dropping|retract|revoke|lift|remove|ignore|rescind|forget|no longer|scratch"
    r"|not an?|isn't an?|wasn't an?)(?:ing)?(?: (?:a|an|my|the|that|this|earlier|previous)){0,3}"
    r" (?:nac?k(?:ed-by)?|objections?)\b",
    r"\b(?:tak(?:e|ing)) (?:my |the )nac?k back\b",
    r"\bno (?:nac?ks?|objections?)\b",
)
BEFORE_NAK = (
    r"(?:so|sorry|still|big|hard|strong|firm|clear|that's|this is|it's|i|i'm|i am|i have to|must|a|an|explicit|from me"
    r"|hence|therefore|then|again|and|but|for now|also|please|consider this|as|is|my|here|me|we|to|say|patch|series"
    r"|\d{1,4}(?:/\d{1,4})?)"
)
OBJECTION = patterns(
    rf"^\W{{0,9}}(?:{BEFORE_NAK}[\s,:]{{1,3}}){{0,6}}nac?k(?:ed|ing)?\b(?!-by)",
    r"\bNAC?K\b(?=\W{0,9}$|[.!,;:]|\s+(?:from|for|on|to|this|that|here|as|because|until|unless|by|v\d)\b)",
    r"\b(?:I|we) (?:have to |must |will |hereby |strongly |still )?(?:nac?k|object|reject|oppose)\b",
    r"\b(?:going to|will|want to|have to|must) nac?k\b",
    r"\bconsider (?:this|it|that|the patch|the series) (?:as )?nac?ked\b",
    r"\b(?:is|are|it's|that's) nac?ked(?=\W{0,9}$|[.!;]|\s+(?:from|by me|for now|because|until|unless)\b)",
    r"\b(?:a|an|my|explicit|strong|hard) nac?k\b"
    r"(?=\W{0,9}$|[.!,;:]|\s(?:from|for now|on|to this|as|because|until|unless)\b)",
)
#: Somebody does not want a patch and has another word for it.
REFUSAL = patterns(
    r"^\W{0,9}N\. ?A\. ?(?:C\. ?)?K\b|^\W{0,9}(?:(?:so|sorry|thanks|but)[\s,]{1,3}){0,3}(?:\U0001f44e|-1)\W{0,3}$",
    r"^\W{0,9}(?:absolutely not|hard pass|no way|definitely not|hell no|(?:big |fat ){1,3}no)\W{0,9}$",
    r"\b(?:that|this|it)(?:'s| is)(?: (?:a|an|clear|hard|firm|big|definite|strong)){0,3} no (?:from|for) me\b",
    r"\b(?:I|we)(?:'m| am|'re| are)? (?:(?:really|certainly|definitely) )?(?:not (?:going to|willing to)|will not|won't"
    r"|refuse to|can't|cannot|(?:do not|don't) (?:want|intend) to) (?:take|apply|merge|accept|pull|pick up|queue)"
    r" (?:(?:this|these|that|it|any|the|of|such) ?){1,3}(?:patch|patches|series|set|change|changes|code)?"
    r"(?=\W{0,9}$|[.,;!]| (?:as|in|at all|like|ever|because)\b)",
    r"\b(?:I|we) (?:(?:really|still) )?(?:do not|don't) want (?:(?:to see|to have) )?(?:this|these|it|that|such)"
    r"(?: (?:patch|patches|series|change|changes|code|thing|flag|interface|stuff)){0,2} (?:in|upstream|at all)\b",
    r"\bplease drop (?:this|these|the)(?: whole| entire)? (?:patch(?:es)?|series|set)\b",
    r"\b(?:this|it|that|the (?:patch|series)) (?:cannot|can't|must not|should not|shouldn't|won't|will not)"
    r" (?:go in|be merged|be applied)(?=\W{0,9}$|[.;!]| (?:as is|as it is|like this|in this form|at all)\b)",
    r"\bplease (?:do not|don't) (?:merge|apply|queue) (?:this|these|it|that|the (?:patch|series))\b",
)
#: What a line has that refuses.
REFUSING = ("n't", "n\u2019t", "not", "no ", " no", "drop", "-1", "n.", "pass", "refuse", "\U0001f44e")
OBJECTION_TAG = re.compile(
    r"\W{0,20}(?:n(?:ac?|ack?)k?(?:ed|ing)?|rejected|objected(?:-to)?|objection|disliked|opposed"
    r"|(?:not|un|non|de)-?(?:acked|reviewed|tested)|(?:withdrawn|revoked|retracted)(?:-[a-z]+)?)-by[ \t]*:",
    re.I,
)
#: Thanks are for something done, and a patch that was applied was tried: neither is a condition.
PAST = patterns(
    r"\bthank(?:s| you)(?: (?:a lot|so much|very much|again|much))? for (?:the |your |all )?[a-z]{2,20}[^.,;:!?]{0,80}",
    r"\b(?:with|after) (?:(?:this|these|your|both|all|v\d{1,3})(?: \d{1,3})?"
    r"(?: (?:patch(?:es)?|series|set|changes?))? applied"
    r"|(?:applying|merging|rebasing|adding) (?:this|these|your|the|both|it|all)\b)",
)
#: A sentence that ends with the tag.
RUNS_ON = re.compile(
    r".*(?:[:,;]\W{0,2}|\b(?:my|an?|the|your|this|add|adding|added|have|had|give|given|send|say|says?|said|get|with|be|drop|remove"
    r"|dropped|delete|and|no|not|so|then|from|for|of|to|is|it|carry|keep|take|like)[ '…-]{0,3}|\b(?:e\.g|i\.e)\.)",
    re.I,
)
GOES_ON = re.compile(
    r"\W*(?:but|which|from me\b|for (?:the|this|that|v\d|now)|to (?:this|that|v\d)|when|if|without|once|unless|although"
    r"|though|except|yet|would|will|should|is|was|does|doesn't|only)\b|\W{0,4}\^|[?]"
)
SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[^\Wa-z])")
TESTED = re.compile(
    r"(?:(?:I|we|\w{1,30}(?= has))(?:'ve| have| has)? )?(?:also )?"
    r"(?:(?:re|build|boot|compile|runtime)-?)?(?:test|verifi)ed\b",
    re.I,
)
GREETING = re.compile(
    r"(?:(?:hi|hello|hey|dear|hallo|moin|good (?:morning|day|evening))\b[^:;]{0,60}|[^\W\da-z_]\w+),", re.I
)
NOTHING = re.compile(
    r"\bno (?:further |more |other |real )?(?:comments?|concerns?|objections?|issues?|problems?|remarks?)\b"
)
#: A sentence of these words alone gives the tag after it.
GIVING = frozenset(
    """a ack acked add adding addressed again all already also am and anyway apply as be below both can
    carry cheers clarification clean cleanup comments consider convinced correct do done excellent
    explaining explanation explicit feel fine fixed following for formally free freely from fwiw gave give
    giving glad go good great happy have haven't here here's hereby hey hi his i i'll i'm i've in include
    instead into is it it's its job just keep kind kindly lgtm like line look looking looks make makes may
    me mine much my next nice of offer offering official officially ok okay on once one ours part patch
    patches perfect pick please proper properly put read reasonable record resend respin review reviewed
    revision said sane say seems sense series set side simple so solid sounds still straightforward sure tag
    tags take tested thank thanks that that's the then there these this those to together too trailer
    trailers trivial up update version very want way we well what whatever whole will with work works worth
    would yes you your yours""".split()  # noqa: SIM905
)
#: What nearly no line has, but a line that takes back or objects must have.
HINTS = (
    *("tag", "trailer", "by", "rb", "r-b", "a-b", "t-b", "ack", "nak", "review", "appro", "endors", "lgtm", "revo"),
    *("retract", "resci", "withdr", "mind", "thought", "placeh", "reject", "object", "oppos"),
    *("appl", "hold", "stand", "gave", "give", "sent"),
)


EMPHASIS = re.compile(r"(?<!\w)[*_~]{1,3}(?=\w)|(?<=\w)[*_~]{1,3}(?!\w)")


def hinted(text: str) -> bool:
    """Say whether a line may take back or object at all."""
    lower = text.lower()
    return any(hint in lower for hint in HINTS)


def folded(text: str) -> str:
    """Return text in the form that the patterns expect."""
    text = plain(text).replace("’", "'").replace("`", "").replace('"', "")
    return " ".join(EMPHASIS.sub("", text).split())


def condition(text: str) -> bool:
    """Say whether a text next to a tag may put a condition on it."""
    return NEARBY.search(PAST.sub("", folded(text))) is not None


def far_condition(text: str) -> bool:
    """Say whether a text puts a condition on a tag elsewhere in the mail."""
    return ANYWHERE.search(PAST.sub("", folded(text))) is not None


def runs_on(above: str, below: str) -> str:
    """Return the part of a sentence before or after a tag that may not mean that it is given, "" if none."""
    last = SENTENCES.split(folded(above))[-1]
    if RUNS_ON.fullmatch(last) and not (GREETING.fullmatch(last) or TESTED.match(last)):
        words = re.findall(r"[^\W_][\w'/-]*", NOTHING.sub("", last.lower()))
        if not GIVING.issuperset(words):
            return last
    first = folded(below)
    return first if GOES_ON.match(first) else ""


def taken_back(text: str) -> bool:
    """Say whether a text takes a tag back."""
    return hinted(text) and BACK.search(RELENTED.sub("", folded(text))) is not None


def objection(text: str) -> bool:
    """Say whether a line says that its writer does not want a patch."""
    lower = text.lower()
    if any(word in lower for word in REFUSING) and REFUSAL.search(folded(text)):
        return True
    if not hinted(text):
        return False
    return OBJECTION_TAG.match(text) is not None or OBJECTION.search(RELENTED.sub("", folded(text))) is not None
