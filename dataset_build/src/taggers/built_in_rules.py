r"""The built-in rules: what of an instruction's wording tells which ability it asks for.

A rule finds an ability where one of its `signs` is in the text and none of its `vetoes` is. What may stand
between two words of a sign is bounded, and few signs have two such gaps, so that no text makes one slow.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from dataset_build.src.taggers.reading import Reading


@dataclass(frozen=True)
class Rule:
    """When an instruction asks for an ability.

    Attributes:
        signs: One of these is in the text.
        vetoes: And none of these.
        test: Or this says so, whatever the signs say.
    """

    signs: tuple[re.Pattern[str], ...] = ()
    vetoes: tuple[re.Pattern[str], ...] = ()
    test: Callable[[Reading], bool] = field(default=lambda reading: False)

    def applies(self, reading: Reading) -> bool:
        """Return whether it does."""
        if self.test(reading):
            return True
        found = any(sign.search(reading.text) for sign in self.signs)
        return found and not any(veto.search(reading.text) for veto in self.vetoes)


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source, re.IGNORECASE) for source in sources)


_LANGUAGES = (
    "english|french|german|spanish|italian|portuguese|dutch|swedish|danish|norwegian|finnish|polish|czech|slovak|"
    "hungarian|romanian|bulgarian|greek|turkish|russian|ukrainian|arabic|hebrew|persian|farsi|hindi|urdu|bengali|"
    "tamil|telugu|thai|vietnamese|indonesian|malay|chinese|mandarin|cantonese|japanese|korean|latin|swahili|"
    "catalan|welsh|irish|icelandic|croatian|serbian|esperanto"
)
_OTHER_LANGUAGES = _LANGUAGES.removeprefix("english|")
_PROGRAMMING = (
    r"python|javascript|typescript|java|c\+\+|c#|golang|rust|ruby|php|kotlin|swift|scala|perl|haskell|bash|powershell|"
    r"sql|html|css|matlab|fortran|regex|regexp|assembly|lua"
)
_THINGS_OF_CODE = (
    "function|method|script|program|class|snippet|code|query|module|package|regex|regular expression|decorator|loop|"
    "unit tests?|test case|one-liner|api endpoint|algorithm|subroutine|macro"
)
_PIECES = (
    "poem|poems|haiku|sonnet|limerick|ballad|song|lyrics|rap|story|stories|tale|fable|novel|short fiction|dialogue|"
    "monologue|screenplay|script for a (?:film|play|video)|play|slogan|tagline|jingle|joke|riddle|toast|"
    "love letter|fairy tale|bedtime story|blog post|advert(?:isement)?|caption"
)

#: Ability -> when an instruction asks for it.
RULES: dict[str, Rule] = {
    "calculation": Rule(
        _patterns(
            r"(?:^|[\s(])\d{0,8}[a-z](?:\^\d|[²³])? ?[+−-] ?\d{0,8}[a-z]?\(?[^\n=]{0,40}= ?[-−(\d]",
            r"[∫√∑]|\b(?:differentiat|derivativ|antiderivativ|integrat(?:e|al|ion)\b)[^\n]{0,60}[\d(^]|\bd/d[a-z]\b",
            r"\d[\d.,]{0,20} ?%? (?:tip|discount|tax|vat|interest|share)\b|\b(?:avg|average|mean|median)(?: of)? \d",
            r"\d ?(?:°|degrees? )?(?:[a-z]{1,12}(?:/[a-z]{1,6})?[²³]?) (?:to|into|in|as|->|→|=) (?:degrees? "
            r"|°)?(?:[ckf]|celsius|fahrenheit|kelvin|k?g|lbs?"
            r"|k?m|cm|mm|miles?|feet|ft|inch(?:es)?|litres?|liters?|gallons?|ounces?|oz|hectares|acres|bytes"
            r"|kilobytes|[kmg]b|g/cm|km/h|mph)\b",
            r"\b(?:how many|number of) (?:days|weeks|months|hours|minutes)\b[^\n]{0,80}\d"
            r"|\d[^\n?]{0,80}\b(?:number of|in) (?:days|weeks|hours)\b",
            r"(?<![\d/-])\d[\d.,]{0,20} ?(?:[+*×÷^]|\*\*) ?\(?-?\d",
            r"(?<![\d/-])\d[\d.,]{0,20} (?:[-−/]|plus|minus|times|divided by|mod|over) \(?-?\d",
            r"\d[\d.,]{0,20} ?(?:%|percent|per cent) (?:of|off)\b",
            r"\b(?:calculate|compute|evaluate|work out|add up|multiply|divide|subtract)\b[^\n]{0,80}\d",
            r"\b(?:what is|what's|find) the (?:sum|product|mean|average|median|total|difference|quotient|remainder"
            r"|square root|cube root|area|volume|perimeter|hypotenuse|determinant)\b[^\n]{0,80}(?:\d|[a-z]\^)",
            r"\b(?:solve|simplify|factori[sz]e|expand|differentiate|integrate)\b[^\n]{0,60}(?:[\d)xyz] ?[-+*/^=(]|\^"
            r"|\d[a-z]\b)",
            r"\b(?:derivative|integral|antiderivative|limit) of\b[^\n]{0,60}(?:\^|\d|[a-z]\(|\b[xyzt]\b)",
            r"\b(?:convert|express|change)\b[^\n]{0,20}\d[\d.,]{0,20} ?[a-z°µ/]{1,20}\b[^\n]{0,40}\b(?:to|into|in)\b",
            r"\bhow (?:many|much)\b[^\n?]{0,120}\b(?:are|is|make|in) (?:there in )?\d",
            r"\b(?:square|cube) root of \d",
            r"\\(?:frac|sqrt|int|sum)\b",
        ),
        test=lambda reading: reading.numbers_before_question >= 1,
    ),
    "reasoning_in_steps": Rule(
        _patterns(
            r"\bstep[- ]by[- ]step\b",
            r"\b(?:show|explain|give|write out|lay out) (?:me )?(?:all )?(?:of )?(?:your|the|each)"
            r" (?:full )?(?:work(?:ing|ings)?|reasoning|steps|thinking|logic|derivation)\b",
            r"\bprove (?:that|the|by|it|there|every|if|or disprove)\b",
            r"\bgive (?:me )?(?:a|the|one) (?:formal |short |rigorous )?(?:proof|derivation) (?:of|that)\b",
            r"\bthink (?:it |this )?(?:through|carefully|hard|before you)\b",
            r"\b(?:riddle|logic puzzle|brain ?teaser|deduce|infer from|draw a conclusion|what follows from)\b",
            r"\b(?:if|suppose|given that|assume)\b[^?\n]{4,300}\b(?:then )?(?:how (?:many|much|long|old)|who (?:is|was)"
            r"|what (?:must|can you conclude)|which of)\b",
            r"\b(?:all|every|no|some) [a-z]{2,20} (?:are|is) [a-z ]{2,30}[.;,][^?\n]{0,200}\b(?:therefore"
            r"|does it follow|is it"
            r" true|can we conclude|must)\b",
        ),
        _patterns(r"\bproof of (?:purchase|payment|address|identity)\b"),
        test=lambda reading: reading.numbers_before_question >= 2,
    ),
    "code": Rule(
        _patterns(
            r"```(?:sql|python|py|js|javascript|ts|java|c|cpp|rust|go|sh|bash|html|css)\b",
            r"```(?!json|yaml|xml|csv|text|markdown|md\b)[a-z+#]{0,12}[ \t]{0,4}\n[^`]{0,2000}[;(){}=:]",
            r"(?:^|\n)[ \t]{0,16}(?:def \w{1,60}\(|class \w{1,60}[:(]|from \w[\w.]{0,60} import "
            r"|import \w[\w.]{0,60}[ \t]*(?:\n|$|as )"
            r"|#include ?<|public (?:static|class)|func \w{1,60}\(|fn \w{1,60}\(|(?:const|let|var) \w{1,60} ?="
            r"|for \w{1,30} in [^\n]{1,80}:)",
            r"\bselect\b[^\n]{1,300}\bfrom\b[^\n]{1,80}(?:;|\bwhere\b|\bjoin\b|\blimit\b|\bgroup by\b|\border by\b)",
            r"(?-i:\bSELECT\b[^\n]{1,300}\bFROM\b)",
            rf"\b(?:{_PROGRAMMING})(?![\w+#]) ?(?:\d[\d.]{{0,5}} ?)?(?:{_THINGS_OF_CODE}|bug|error|exception"
            rf"|traceback|list comprehension"
            r"|interpreter|dialect|syntax|statement|library)\b",
            rf"\b(?:write|implement|create|fix|debug|refactor|optimi[sz]e|format|reformat|tidy|explain|port|rewrite"
            rf"|review|complete)\b"
            rf"[^.?\n]{{0,60}}\b(?:{_PROGRAMMING})(?![\w+#])",
            r"\b(?:write|implement|create|fix|debug|refactor|optimi[sz]e)\b[^.?\n]{0,40}\b(?:a|an|the|this|my"
            r"|following)"
            r" (?:\w{1,20} ){0,2}(?:function|subroutine|unit tests?|algorithm|regex|regular expression|sql"
            r"|api endpoint|bash script"
            r"|shell script|code)\b(?! of (?:conduct|ethics|honou?r))",
            r"\b(?:function|method|program|script) (?:that|which|to) (?:returns?|takes?|prints?|computes?|checks?"
            r"|reverses?|parses?)\b",
            r"\b(?:traceback \(most recent call last\)|null ?pointer|segmentation fault|stack ?overflow error"
            r"|syntaxerror|typeerror"
            r"|undefined is not a function|compil(?:e|er) error|off-by-one|time complexity|big-?o)\b",
            r"\bin (?:python|javascript|typescript|rust|golang|kotlin|haskell|c\+\+|c#|bash|sql|php|perl)(?![\w+#])",
        ),
    ),
    "translation": Rule(
        _patterns(
            rf"\btranslat(?:e|es|ed|ing|ion)\b[^\n]{{0,200}}\b(?:in)?to (?:\w{{1,20}} )?(?:{_LANGUAGES})\b",
            rf"\btranslat(?:e|ing|ion)\b[^\n]{{0,80}}\bfrom (?:{_LANGUAGES})\b",
            rf"(?:^|\n|[.!?:] ?|\b(?:please|can you|could you|now|then"
            rf"|me) )translate\b(?! \d)(?![^\n]{{0,80}}\b(?:{_PROGRAMMING}|code|query)(?![\w+#]))",
            rf"\bhow (?:do|would|can|should) (?:you|i|we|one) say\b[^\n]{{0,120}}\bin (?:{_LANGUAGES})\b",
            rf"\bhow (?:is|do) [^\n?]{{1,80}} (?:said|called|say) in (?:{_LANGUAGES})\b",
            rf"\bwhat (?:is|does|are)\b[^\n?]{{1,80}}\b(?:mean )?in (?:{_OTHER_LANGUAGES})\?",
            rf"\b(?:put|render|turn|rewrite|say) (?:this|it|that|the following|the sentence)\b[^\n]{{0,40}}\b(?:in"
            rf"|into) (?:{_LANGUAGES})\b",
            r"\b(?:übersetz\w{0,6}|tradui\w{1,6}|traduc\w{1,8}|traduza|traduzir|vertaal|översätt|przetłumacz"
            r"|переведи\w{0,3}|çevir\w{0,4})\b",
            r"翻译|翻譯|訳して|번역",
        ),
        _patterns(
            r"\bwho (?:first )?translated\b",
            rf"\btranslate\b[^\n]{{0,60}}\b(?:{_PROGRAMMING})\b[^\n]{{0,60}}\b(?:{_PROGRAMMING}|dialect|sqlite"
            rf"|postgres(?:ql)?|mysql)\b",
        ),
    ),
    "languages_other_than_english": Rule(
        _patterns(
            rf"\b(?:in|into|to|from) (?:\w{{1,20}} )?(?:{_OTHER_LANGUAGES})(?: please)?[ \t]?(?:[.:,;!?\n\"'“]|$)",
            rf"\b(?:answer|reply|respond|write|speak|say)\b[^\n.]{{0,60}}\bin (?:{_OTHER_LANGUAGES})\b",
            r"\bwhat language\b|\bwhich language is\b|\bidentify the language\b|\blanguage (?:is|of) (?:this"
            r"|the following)\b",
        ),
        _patterns(rf"\b(?:in|into|to) (?:{_PROGRAMMING})\b[^\n]{{0,20}}\bwhat language\b"),
        test=lambda reading: reading.is_foreign,
    ),
    "extraction": Rule(
        _patterns(
            r"\bextract\b(?! of\b)(?![^\n]{0,20}\b(?:juice|dna|teeth|tooth|oil|venom)\b)[^\n]{1,120}",
            r"\b(?:list|find|identify|pull out|pick out|copy out|give me|highlight|underline|locate"
            r"|return)\b[^\n.]{0,30}\b(?:all|every|each|any|the)\b"
            r"[^\n.]{0,40}\b(?:names?|dates?|numbers?|e-?mails?|addresses|entities|places|people|organi[sz]ations"
            r"|companies|urls?|prices|amounts"
            r"|keywords|phone numbers|verbs|nouns|mentions)\b[^\n]{0,40}\b(?:in|from|mentioned|below|of the (?:text"
            r"|passage|article|document))\b",
            r"\bnamed[- ]entit(?:y|ies)\b",
            r"\b(?:according to|based (?:only |solely )?on|using only|from|in) (?:the|this) (?:following )?(?:passage"
            r"|text|article|paragraph"
            r"|document|excerpt|context|story|email|contract|report)\b[^\n]{0,200}\b(?:who|what|when|where|which"
            r"|how (?:many|much|long)|find|list|name)\b",
            r"\b(?:who|what|when|where|which|how (?:many|much|long))\b[^\n?]{0,160}\b(?:according to|based on|in"
            r"|from) (?:the|this)"
            r" (?:following )?(?:passage|text|article|paragraph|document|excerpt|context|email|contract|report)\b",
            r"(?:^|\n) {0,8}(?:passage|context|article|text) ?:[^\n]{40}",
            r"\bread (?:the|this)\b[^\n.]{0,40}\b(?:passage|text|article|paragraph)\b[^\n]{0,40}\b(?:answer|question)",
            r"\bquote (?:the|a|every|each) (?:sentence|line|passage|phrase)\b",
        ),
        _patterns(r"\b(?:vanilla|yeast|plant|malt) extract\b"),
    ),
    "summarisation": Rule(
        _patterns(
            r"\b(?:boil|cut|trim|reduce) (?:this|it|the|that|down)\b[^\n]{0,40}\b(?:down )?to (?:a|one|two|three|the"
            r"|\d) (?:short |single )?(?:sentences?|lines?|essentials|words?)\b",
            r"\bsummari[sz]e\b|\bsummari[sz]ing (?:the|this|these|that|an?)\b",
            r"\b(?:write|give|make|provide|create|need|want|prepare)\b[^\n.]{0,40}\b(?:summary|synopsis|abstract"
            r"|précis|digest|overview)"
            r" (?:of|for|from)\b",
            r"\b(?:a|an|one|short|brief|quick|two|three|\d)[- ](?:sentence|line|paragraph|word|page)s? summary\b"
            r"|\b(?:short|brief|quick) summary\b",
            r"\btl;? ?dr\b",
            r"\b(?:condense|shorten|boil (?:this|it|the text) down|sum up|sum (?:this|it) up|recap)\b[^\n]{0,80}"
            r"\b(?:text|article|passage|paragraph|email|report|story|document|notes|meeting|discussion|thread|chapter"
            r"|this|it|following)\b",
            r"\b(?:key|main|central|most important) (?:points?|ideas?|takeaways|message|sentences?) (?:of|from|in)\b",
            r"\bwhat is (?:the|this) (?:text|article|passage|paragraph|email|story)\b[^\n?]{0,20}\b(?:mainly )?about\b",
            r"\bin (?:a nutshell|(?:one|two|three|\d) sentences?)\b[^\n]{0,60}\b(?:what|text|article|passage"
            r"|following|this)\b",
            r"\bgist of\b",
        ),
        _patterns(r"\bsummary (?:offence|offense|judge?ment|execution|dismissal)\b"),
    ),
    "classification": Rule(
        _patterns(
            r"\bsentiment\b[^\n]{0,20}(?::|\?|analysis)",
            r"\b(?:pick|choose|which|name|select|state|what)\b[^\n.?]{0,40}\b(?:queue|pile|folder|inbox|desk|team"
            r"|bucket|department)\b[^\n]{0,200}",
            r"\b(?:negative|positive|neutral)\b[^\n.?]{0,12}\b(?:negative|positive"
            r"|neutral)\b[^\n.?]{0,16}\b(?:negative|positive|neutral)\b",
            r"\b(?:classify|categori[sz]e)\b[^\n]{1,160}",
            r"\b(?:positive|favou?rable|happy)\b[^\n.?]{0,20}\b(?:or|,|/)[^\n.?]{0,20}\b(?:negative|unfavou?rable"
            r"|unhappy|neutral)\b",
            r"\b(?:sentiment|tone|mood|polarity|topic|genre|intent|stance|emotion) (?:of|in|behind) (?:this|the|these"
            r"|each|that|my)\b",
            r"\b(?:what|which|determine|detect|identify|state|name|give|label|judge|decide"
            r"|is) (?:is )?(?:the )?(?:overall )?(?:sentiment|polarity|genre|category|intent)\b",
            r"\b(?:label|tag|sort|assign)\b[^\n.]{0,60}\b(?:as|into|with (?:one|a)|by|to one)\b[^\n.]{0,60}\b(?:or"
            r"|labels?|categor(?:y|ies)|class(?:es)?|topics?|groups)\b",
            r"\bwhich (?:category|label|topic|department|intent)\b",
            r"\b(?:spam|toxic|sarcastic|ironic|offensive|fake|relevant|hate speech"
            r"|phishing)\b[^\n.?]{0,10}\bor (?:not|ham|real|genuine|legit(?:imate)?|harmless)\b",
            r"\bis (?:this|the following|it)\b[^\n?]{0,40}\b(?:spam|toxic|sarcastic|ironic|offensive|hateful|phishing"
            r"|a complaint)\b",
            r"\b(?:what|which) language (?:is|was|does|are)\b|\bidentify the language\b|\bdetect the language\b"
            r"|\bname the language\b",
            r"\b(?:does|do|did) (?:this|the) (?:review(?:er)?|customer|writer|author|comment"
            r"|tweet)\b[^\n?]{0,40}\b(?:like|love|hate|happy|satisfied|enjoy|positive|recommend)\b",
        ),
        _patterns(r"\bclassified (?:ads?|documents?|information)\b"),
    ),
    "factual_knowledge": Rule(
        _patterns(
            r"\b(?:protons|electrons|neutrons|element symbol|seat of government|legal tender|iso (?:4217 )?code"
            r"|bank holiday|statutory holiday)\b",
            r"\b(?:capital|population|currency|president|prime minister|king|queen|area|flag|official language"
            r"|highest mountain|longest river"
            r"|author|inventor|founder|discoverer) of\b",
            r"\b(?:who|when|where) (?:is|was|were|did|invented|wrote|discovered|founded|painted|composed|won|killed"
            r"|built|directed|first|are)\b",
            r"\b(?:in|on) (?:what|which) (?:year|country|continent|city|century|date|day|ocean|state)\b",
            r"\bwhich (?:country|planet|city|river|ocean|element|president|philosopher|scientist|year|continent|metal"
            r"|gas|animal|king|war|treaty)\b",
            r"\bwhat (?:is|are|was|were) (?:a|an|the)? ?(?!\d)(?:[a-z][\w'-]{2,30} ){0,4}[a-z][\w'-]{2,30}\?",
            r"\b(?:define|definition of|what does [^\n?]{1,60} (?:stand for|mean)|tell me about|explain what (?:a|an"
            r"|the))\b",
            r"\b(?:atomic (?:number|mass|weight)|chemical symbol|molar mass|boiling point|melting point"
            r"|speed of light|public holiday|time ?zone)\b",
            r"\b(?:how (?:tall|high|deep|old|big|far) (?:is|was|are))\b",
            r"\bhow many (?:continents|planets|bones|countries|states|people live|moons|players)\b",
            r"\bwhy (?:is|are|do|does|did|was|were) (?:the|a|an)? ?[a-z]",
        ),
        _patterns(
            r"\b(?:passage|text|paragraph|excerpt|article|email|context|snippet|sentence|review|code|story|dialogue"
            r"|transcript) ?(?:above|below|:)",
            r"\b(?:this|the following|these|my|our|your) (?:passage|text|paragraph|excerpt|article|email|code"
            r"|sentence|review|function|query|word"
            r"|poem|story|name|birthday|password|file|script|data|mistake)\b",
            r"\baccording to (?:the|this)\b",
            r"\bwhat (?:is|are) (?:the )?(?:sum|product|mean|average|derivative|integral|sentiment|square root"
            r"|remainder|result|value|answer"
            r"|lemma|base form|dictionary form|total|difference|best way|main idea|intent)\b",
        ),
    ),
    "creative_writing": Rule(
        _patterns(
            rf"\b(?:write|compose|make up|invent|come up with|create|craft|pen|tell|draft|continue|finish|give me"
            rf"|improvise|imagine|dream up|need|want)\b"
            rf"(?: me| us)?(?: up)? (?:a|an|some|the|this|my|another|one|two|three"
            rf"|\d{{1,2}})? ?(?:[\w'-]{{1,20}}[ ,]{{1,2}}){{0,5}}(?:{_PIECES})\b",
            r"\bin the (?:style|voice|manner) of (?:a |an |the )?[a-z]",
            r"\b(?:opening|first|closing) (?:line|paragraph|chapter|scene) (?:of|for) (?:a|my|an)\b",
            r"\b(?:brainstorm|suggest|come up with|invent)\b[^\n.]{0,30}\b(?:names|titles|plot|characters"
            r"|ideas) (?:for|of) (?:a|an|my|our)\b",
            r"\b(?:that rhymes|make it rhyme|rhyming)\b",
            r"\bonce upon a time\b[^\n]{0,80}\b(?:continue|finish)\b|\b(?:continue|finish) (?:the|this|my) (?:story"
            r"|tale|poem)\b",
        ),
        _patterns(
            r"\bwho wrote\b",
            r"\b(?:summari[sz]e|analy[sz]e|translate|proofread|classify|review)\b[^\n.]{0,30}\b(?:poem|story|song"
            r"|lyrics|novel|tale)\b",
            r"\b(?:user stor(?:y|ies)|story points?)\b",
        ),
    ),
    "spelling_and_grammar": Rule(
        _patterns(
            r"\b(?:spelling|misspel\w{1,5}|typos?|spell(?:ed|t)? (?:it |this |that |the |right|wrong|correctly"
            r"|incorrectly|check)|how (?:is|do you) [^\n?]{0,30}\bspel)",
            r"\b(?:how (?:it's|it is|is it|to)|is it|which is|correctly) spel(?:l|t|led)\b|\bspelt? wrong\b",
            r"\b(?:grammar|grammatical\w{0,4}|proofread|punctuat(?:e|ion)|conjugat\w{1,4}|lemma(?:s|ti[sz]\w{1,5})?"
            r"|part of speech|plural of"
            r"|past tense of|(?:base|dictionary|canonical|infinitive) form|headword)\b",
            r"\b(?:correct|fix|check) (?:the |this |my |any )(?:english|sentence|wording|mistakes?|errors? in (?:this"
            r"|the) (?:sentence|text|letter))\b",
        ),
        _patterns(r"\b(?:magic|wizard|cast a)\b[^\n]{0,20}\bspell\b", r"\bgrammar school\b"),
    ),
    "structured_output": Rule(
        _patterns(
            r"\b(?:as|in|into|to|return|output|produce|generate|give me|emit|respond with|reply with|answer with|only"
            r"|valid) (?:a |an |the |only |valid |strict |plain )?"
            r"(?:\w{1,12} )?(?:json|yaml|xml|csv|toml|tsv|latex|html|markdown|key-value pairs)\b(?! (?:file|files|bug"
            r"|error|parser|invented|stand|tutorial))",
            r"\bjson (?:object|array|list|schema|format|output|with)\b",
            r"\b(?:as|in|into|make|create|output|return|with|give me|format)\b[^\n.]{0,20}\b(?:a|an"
            r"|the) (?:\w{1,12} )?(?:table|bulleted list|numbered list|bullet list)\b(?! (?:for|at|reservation"
            r"|tennis))",
            r"\b(?:bullet points|bulleted list|numbered list|markdown table|comma[- ]separated)\b",
            r"\bwith (?:the )?(?:following )?(?:keys|fields|columns|headers|properties)\b",
            r"\b(?:follow|use|stick to|in) (?:exactly )?(?:this|the following) (?:exact )?(?:format|schema|template"
            r"|structure)\b",
            r"\b(?:one|each) (?:item |name |word |entry |answer )?(?:per|on its own|on a (?:separate|new)) line\b",
        ),
    ),
    "long_context": Rule(test=lambda reading: reading.is_long),
}
