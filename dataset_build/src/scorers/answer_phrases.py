"""How answers are announced in the languages models answer in: "the answer is", "Die Antwort lautet", "答案是"."""

import re

#: The word for an answer, what may follow it, and the verb or colon.
_LATIN = (
    r"(?:answer|solution|result|choice|selection)"
    r"(?:\s+(?:to|for|of|in|here|should|must|would|will|has|then|therefore)(?:\s+(?!not\b)\w+){0,5}?)?\s*(?:is|was|be|[:=])"
    r"|(?:antwort|lösung|ergebnis|lösungsbuchstabe)\s*(?:ist|lautet|wäre|beträgt|[:=])"
    r"|(?:réponse|reponse|solution|résultat)(?:\s+(?:correcte|finale|est\s+donc))?\s*(?:est|serait|[:=])"
    r"|(?:respuesta|solución|solucion|resultado)(?:\s+(?:correcta|final))?\s*(?:es|sería|[:=])"
    r"|(?:resposta|solução|resultado)(?:\s+(?:correta|final))?\s*(?:é|seria|[:=])"
    r"|(?:risposta|soluzione|risultato)(?:\s+(?:corretta|esatta|finale))?\s*(?:è|sarebbe|[:=])"
    r"|(?:antwoord|oplossing)(?:\s+\w+)?\s*(?:is|luidt|[:=])"
    r"|(?:odpowiedź|odpowiedz|cevap|svar|svaret|vastaus|đáp\s+án|jawaban|jawabannya)(?:\s+\w+)?"
    r"\s*(?:to|jest|är|er|on|là|adalah|[:=])"
)
_OTHER = (
    r"(?:ответ|ответом|відповідь)(?:\s+(?:является|будет))?\s*[-–—:=]?"
    r"|(?:答案|正确答案|正確答案|正解|答え|解答|結果|结果)\s*(?:应该|應該)?\s*(?:是|为|為|は|[:：=])"
    r"|(?:답|정답|답변)\s*(?:은|는|[:：=])"
    r"|(?:الإجابة|الجواب|الاجابة)(?:\s+الصحيحة|\s+الصحيح)?\s*(?:هي|هو|[:=])"
    r"|(?:उत्तर|जवाब)(?:\s+(?:है|विकल्प))?\s*[:=]?"
    r"|(?:คำตอบ)\s*(?:คือ|[:=])"
)
#: Matches up to the verb or colon, and a second colon where there is one ("The answer is: ").
ANNOUNCED = rf"(?:\b(?:{_LATIN})(?!\w)|{_OTHER})\s*[:：]?"
#: The same, compiled.
ANNOUNCEMENT = re.compile(ANNOUNCED, re.IGNORECASE)
