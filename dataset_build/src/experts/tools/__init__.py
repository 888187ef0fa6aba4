"""The embedded pool: tools on this machine that answer without key, GPU or download. One file each."""

from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.registry import Registry

tools: Registry[ToolExpert] = Registry(
    "expert",
    {
        "babel_locale": "dataset_build.src.experts.tools.babel_locale:BabelLocale",
        "black_formatter": "dataset_build.src.experts.tools.black_formatter:BlackFormatter",
        "bm25_passages": "dataset_build.src.experts.tools.bm25_passages:Bm25Passages",
        "calculator": "dataset_build.src.experts.tools.calculator:Calculator",
        "dateparser_dates": "dataset_build.src.experts.tools.dateparser_dates:DateparserDates",
        "dateutil_dates": "dataset_build.src.experts.tools.dateutil_dates:DateutilDates",
        "edit_distance_speller": "dataset_build.src.experts.tools.edit_distance_speller:EditDistanceSpeller",
        "geo_facts": "dataset_build.src.experts.tools.geo_facts:GeoFacts",
        "holiday_calendar": "dataset_build.src.experts.tools.holiday_calendar:HolidayCalendar",
        "keyword_router": "dataset_build.src.experts.tools.keyword_router:KeywordRouter",
        "language_detector": "dataset_build.src.experts.tools.language_detector:LanguageDetector",
        "lead_summary": "dataset_build.src.experts.tools.lead_summary:LeadSummary",
        "lemma_dictionary": "dataset_build.src.experts.tools.lemma_dictionary:LemmaDictionary",
        "minilm_passages": "dataset_build.src.experts.tools.minilm_passages:MinilmPassages",
        "minilm_router": "dataset_build.src.experts.tools.minilm_router:MinilmRouter",
        "number_formatter": "dataset_build.src.experts.tools.number_formatter:NumberFormatter",
        "periodic_table": "dataset_build.src.experts.tools.periodic_table:PeriodicTable",
        "pint_units": "dataset_build.src.experts.tools.pint_units:PintUnits",
        "python_tidier": "dataset_build.src.experts.tools.python_tidier:PythonTidier",
        "spell_checker": "dataset_build.src.experts.tools.spell_checker:SpellChecker",
        "sql_regex": "dataset_build.src.experts.tools.sql_regex:SqlRegex",
        "sql_translator": "dataset_build.src.experts.tools.sql_translator:SqlTranslator",
        "stopword_language": "dataset_build.src.experts.tools.stopword_language:StopwordLanguage",
        "suffix_stemmer": "dataset_build.src.experts.tools.suffix_stemmer:SuffixStemmer",
        "sympy_math": "dataset_build.src.experts.tools.sympy_math:SympyMath",
        "textrank_summary": "dataset_build.src.experts.tools.textrank_summary:TextrankSummary",
        "unit_table": "dataset_build.src.experts.tools.unit_table:UnitTable",
        "vader_sentiment": "dataset_build.src.experts.tools.vader_sentiment:VaderSentiment",
        "word_list_sentiment": "dataset_build.src.experts.tools.word_list_sentiment:WordListSentiment",
        "word_problem_solver": "dataset_build.src.experts.tools.word_problem_solver:WordProblemSolver",
    },
)
