"""Openings, middles and endings of everyday sentences; any three of one language make a sentence of it."""

_TABLE = """
English|this morning,yesterday evening,after the lunch break,on the way home|we saw three boats,my sister bought fresh bread,the children were reading a book,nobody wanted to wait|near the old bridge.,because it was raining.,and then it got dark.,without saying a word.
German|heute Morgen,gestern Abend,nach der Mittagspause,auf dem Heimweg|haben wir drei Boote gesehen,hat meine Schwester frisches Brot gekauft,lasen die Kinder ein Buch,wollte niemand warten|und dann wurde es dunkel.,obwohl es noch regnete.,gleich neben der alten Brücke.,ohne ein Wort zu sagen.
French|ce matin,hier soir,après la pause de midi,sur le chemin du retour|nous avons vu trois bateaux,ma sœur a acheté du pain frais,les enfants lisaient un livre,personne ne voulait attendre|près du vieux pont.,parce qu'il pleuvait.,et puis la nuit est tombée.,sans dire un mot.
Spanish|esta mañana,ayer por la noche,después del almuerzo,de camino a casa|vimos tres barcos,mi hermana compró pan recién hecho,los niños leían un libro,nadie quería esperar|cerca del puente viejo.,porque estaba lloviendo.,y luego se hizo de noche.,sin decir una palabra.
Italian|questa mattina,ieri sera,dopo la pausa pranzo,sulla via di casa|abbiamo visto tre barche,mia sorella ha comprato il pane fresco,i bambini leggevano un libro,nessuno voleva aspettare|vicino al vecchio ponte.,perché pioveva.,e poi si è fatto buio.,senza dire una parola.
Portuguese|esta manhã,ontem à noite,depois do almoço,a caminho de casa|vimos três barcos,a minha irmã comprou pão fresco,as crianças liam um livro,ninguém queria esperar|perto da ponte velha.,porque estava a chover.,e depois ficou escuro.,sem dizer uma palavra.
Dutch|vanmorgen,gisteravond,na de middagpauze,op weg naar huis|zagen we drie boten,kocht mijn zus vers brood,lazen de kinderen een boek,wilde niemand wachten|bij de oude brug.,omdat het regende.,en toen werd het donker.,zonder een woord te zeggen.
Swedish|i morse,i går kväll,efter lunchrasten,på väg hem|såg vi tre båtar,köpte min syster färskt bröd,läste barnen en bok,ville ingen vänta|vid den gamla bron.,eftersom det regnade.,och sedan blev det mörkt.,utan att säga ett ord.
Finnish|tänä aamuna,eilen illalla,lounastauon jälkeen,matkalla kotiin|näimme kolme venettä,siskoni osti tuoretta leipää,lapset lukivat kirjaa,kukaan ei halunnut odottaa|vanhan sillan lähellä.,koska satoi vettä.,ja sitten tuli pimeä.,sanomatta sanaakaan.
Polish|dziś rano,wczoraj wieczorem,po przerwie obiadowej,w drodze do domu|widzieliśmy trzy łodzie,moja siostra kupiła świeży chleb,dzieci czytały książkę,nikt nie chciał czekać|obok starego mostu.,bo padał deszcz.,a potem zrobiło się ciemno.,nie mówiąc ani słowa.
Czech|dnes ráno,včera večer,po polední přestávce,cestou domů|jsme viděli tři lodě,moje sestra koupila čerstvý chléb,děti četly knihu,nikdo nechtěl čekat|u starého mostu.,protože pršelo.,a pak se setmělo.,aniž by řekl slovo.
Hungarian|ma reggel,tegnap este,az ebédszünet után,hazafelé menet|három hajót láttunk,a nővérem friss kenyeret vett,a gyerekek könyvet olvastak,senki sem akart várni|a régi híd közelében.,mert esett az eső.,és aztán besötétedett.,egyetlen szó nélkül.
Romanian|azi dimineață,aseară,după pauza de prânz,în drum spre casă|am văzut trei bărci,sora mea a cumpărat pâine proaspătă,copiii citeau o carte,nimeni nu voia să aștepte|lângă podul vechi.,pentru că ploua.,și apoi s-a întunecat.,fără să spună un cuvânt.
Turkish|bu sabah,dün akşam,öğle arasından sonra,eve dönerken|üç tekne gördük,kız kardeşim taze ekmek aldı,çocuklar kitap okuyordu,kimse beklemek istemedi|eski köprünün yanında.,çünkü yağmur yağıyordu.,ve sonra hava karardı.,tek kelime etmeden.
Danish|i morges,i går aftes,efter frokostpausen,på vej hjem|så vi tre både,købte min søster frisk brød,læste børnene en bog,ville ingen stå og vente længere|ved den gamle bro.,fordi det regnede.,og så blev det mørkt.,uden at sige et ord.
Indonesian|tadi pagi,kemarin malam,setelah makan siang,dalam perjalanan pulang|kami melihat tiga perahu,kakak saya membeli roti segar,anak-anak membaca buku,tidak ada yang mau menunggu|di dekat jembatan tua.,karena sedang hujan.,lalu hari menjadi gelap.,tanpa berkata apa-apa.
Vietnamese|sáng nay,tối hôm qua,sau giờ nghỉ trưa,trên đường về nhà|chúng tôi thấy ba chiếc thuyền,chị tôi mua bánh mì mới,bọn trẻ đọc một quyển sách,không ai muốn chờ|gần cây cầu cũ.,vì trời đang mưa.,rồi trời tối dần.,mà không nói một lời.
Russian|сегодня утром,вчера вечером,после обеда,по дороге домой|мы видели три лодки,моя сестра купила свежий хлеб,дети читали книгу,никто не хотел ждать|возле старого моста.,потому что шёл дождь.,а потом стемнело.,не говоря ни слова.
Ukrainian|сьогодні вранці,вчора ввечері,після обіду,дорогою додому|ми бачили три човни,моя сестра купила свіжий хліб,діти читали книжку,ніхто не хотів чекати|біля старого мосту.,тому що йшов дощ.,а потім стемніло.,не сказавши ані слова.
Bulgarian|тази сутрин,снощи,след обедната почивка,на път за вкъщи|видяхме три лодки,сестра ми купи пресен хляб,децата четяха книга,никой не искаше да чака|до стария мост.,защото валеше дъжд.,и после се стъмни.,без да каже и дума.
Greek|σήμερα το πρωί,χθες το βράδυ,μετά το μεσημεριανό,στον δρόμο για το σπίτι|είδαμε τρεις βάρκες,η αδελφή μου αγόρασε φρέσκο ψωμί,τα παιδιά διάβαζαν ένα βιβλίο,κανείς δεν ήθελε να περιμένει|κοντά στην παλιά γέφυρα.,γιατί έβρεχε.,και μετά σκοτείνιασε.,χωρίς να πει λέξη.
Japanese|今朝、,昨日の夜、,昼休みの後で、,家に帰る途中で、|三隻の船を見ました。,妹が新しいパンを買いました。,子供たちは本を読んでいました。,誰も待ちたくありませんでした。|雨が降っていたからです。,そして暗くなりました。,古い橋の近くでした。,何も言いませんでした。
Chinese|今天早上，,昨天晚上，,午饭以后，,回家的路上，|我们看见了三条船，,我姐姐买了新鲜的面包，,孩子们在看书，,没有人愿意等，|因为下雨了。,后来天黑了。,就在老桥旁边。,一句话也没说。
Korean|오늘 아침에,어젯밤에,점심시간이 끝난 뒤에,집에 가는 길에|우리는 배 세 척을 봤어요,누나가 신선한 빵을 샀어요,아이들이 책을 읽고 있었어요,아무도 기다리고 싶어 하지 않았어요|비가 오고 있었거든요.,그리고 나서 어두워졌어요.,오래된 다리 근처에서요.,아무 말도 없이요.
"""  # noqa: E501

#: Language -> (openings, middles, endings).
FRAGMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {}
for _line in _TABLE.strip().splitlines():
    _language, _openings, _middles, _endings = _line.split("|")
    FRAGMENTS[_language] = (
        tuple(_openings.split(",")),
        tuple(_middles.split(",")),
        tuple(_endings.split(",")),
    )
