"""The characters of every task, and the symbols the backbone was pre-trained on.

Ten characters a writing system, chosen so that no two of them, in any task, look the same (Latin A
is not asked for again as Greek or Cyrillic). The pre-training symbols are disjoint from all of
them.
"""

from __future__ import annotations

SCRIPTS: dict[str, str] = {
    "Latin": "AKMSWPTUVZ",
    "Greek": "ΓΔΠαγζλμψω",
    "Cyrillic": "БЖИЛЦЩЪЫЮУ",
    "Armenian": "ԱԲԻԽՀՂՃՅՊՒ",
    "Georgian": "ათილპრქღყჯ",
    "Hebrew": "אדזטלנעקרש",
    "Arabic": "بثزشصطغكمن",
    "Tifinagh": "ⴰⴼⵃⵄⵉⵖⵘⵚⵣⵤ",
    "N'Ko": "ߊߍߎߑߒߓߕߘߟߣ",
    "Canadian syllabics": "ᐂᐔᐙᐦᐭᐳᐸᐻᑃᑏ",
    "Lao": "ກຂງຈຊປຜຝຫຮ",
    "Lisu": "ꓒꓕꓘꓙꓛꓡꓧꓩꓫꓳ",
    "Ogham": "ᚁᚆᚇᚈᚋᚌᚏᚑᚗᚚ",
    "Old Italic": "𐌁𐌂𐌆𐌌𐌐𐌑𐌕𐌞𐌡𐌣",
    "Coptic": "ϢϣϤϦϧϨϪϬϭϮ",
    "Digits": "0123456789",
    "Georgian capitals": "ႠႢႨႩႪႰႲႴჃჅ",
    "Inuktitut syllabics": "ᔀᔁᔒᔙᔢᔣᔥᔳᔴᔷ",
    "Armenian lower case": "ադէժլյշսվև",
    "Latin lower case": "abdfgkmrtj",
    "Cyrillic extended": "ҊҫҮҶӡӮԊԍԏԔ",
    "Arabic digits": "٠٢٤٦٨۶߄߅߆߉",
    "Phonetic letters": "ɐɝɩʇʍʎʛʞʣʮ",
    "Roman numerals": "ⅡⅥⅨⅪⅫⅭⅲⅶⅸↀ",
    "Double-struck": "𝔸𝔽𝕄𝕍𝕏𝕣ℎℑℚℛ",
    "Currency": "₠₢₤₧₪₫₯₰₵₸",
    "Letterlike": "ℂℌℐÅℱℲℳℸℹℽ",
    "Cree syllabics": "ᑐᑩᑮᒶᓇᓛᓴᓷᓼᓽ",
    "Carrier syllabics": "ᖀᖋᖑᖕᖠᖣᖥᖧᖩᖫ",
    "Vietnamese": "ẠẤẸẾỚụỦỰỴỹ",
    "Arabic extended": "ٴٻٽڕڞڠکڪڸۈ",
    "African Latin": "ƁƓƔƊƜƤƣƦƮƾ",
    "Greek accents": "ἀἈἊἮἸὌὙὠᾳῈ",
    "Old Cyrillic": "ѠѣѤѦѨѷҀꙄꙐꙣ",
    "Superscripts": "⁰⁷ᴭᵙₒₓₕₖₛᵋ",
    "Latin accents": "ÆüĄĳĶĸŉŗŴŹ",
    "Latin extended C": "ⱡⱪⱱⱲⱿꜶꝆꞂꞍꟹ",
    "Phonetic extensions": "ᴂᴒᴗᴚᴦᵚᵥᵦᵪᵻ",
    "Arabic ligatures": "ﭓﭔﭟﭡﮌﯤﺽﻂﻚﻹ",
    "Punctuation": "&@#%?§¶{}*",
}

PRETRAINING_SYMBOLS = (
    "\"'.;\\~¤¬°±·҂՚՛՜՝՞׳؆؊،؛؟٪٭߹‖‗‡•‥‱″‴‶‷※‼⁁⁃⁄⁊⁋⁌⁍⁐⁑⁓⁖⁗"
    "⁘⁚⁛⁝⁺₡₦₨€₲₹₺℃℅℉℔№℞℠℡™℥℻⅀←→↓↖↗↘↙↜↝↥↮↯↴↷↸↹↻↽⇄⇆⇋⇍⇏⇓⇖⇗"
    "⇘⇚⇦⇫⇱⇲⇳⇵⇶⇿∂∃∅∊∌∎∖∘∝∞∡∫∬∵∷∹∺≀≁≄≅≇≐≗≙≡≣≤≥≦≨≪≬≲≶≸≼⊃⊄⊅"
    "⊋⊏⊑⊓⊦⊧⊨⊩⊯⊲⊳⊶⊸⊽⊾⋆⋋⋒⋓⋔⋕⋘⋙⋚⋛⋝⋡⋢⋤⋬⋭⋮⋯⋰⋷⋺⋽⌁⌃⌄⌅⌇⌌⌍⌐⌑⌙⌜⌝⌞"
    "⌥⌦⌨⌬⎇⎜⎝⎞⎟⎠⎨⎩⎫⏏⏨␣─┊└┗┘┷╇═╗╙╚╛╝╲╶╸▀▁▄▊▍▏▐░▒▓▗▘▞□▣▬▭▯"
    "▲△▷▼◃◇◈◌◍◐◑◒◓◜◞◟◠◡◢◣◦◩◪◯◴◹◽◿☂☄☈☉☋☌☍☏☓☕☖☘☙☚☛☝☤☦☧☩☫☬"
    "☯☸☾☿♁♂♄♅♆♇♈♊♋♌♎♏♑♕♗♘♙♠♡♨♩♬♭♮♯♳♽♾⚁⚊⚌⚐⚑⚒⚓⚗⚙⚚⚜⚠⚣⚥⚦⚧⚪⚬"
    "⚮⚰⛀⛁✄✆✈✌✍✎✒✗✞✡✥✩✪✫✰✽✿❐❝❡❢❦❧➘➝➤➩➫➬➭➮➱➳➴➶⟰⟱⟴⟵⟶⠂⠆⠈⠉⠊⠌"
    "⠑⠔⠘⠞⠠⠡⠢⠫⠮⠳⠶⠺⡂⡈⡍⡎⡐⡓⡕⡖⡙⡜⡠⡣⡥⡩⡪⡱⡲⡴⡸⡿⢀⢁⢂⢄⢇⢈⢋⢍⢐⢖⢚⢜⢥⢦⢩⢬⢲⢸"
    "⣀⣆⣉⣊⣌⣒⣡⣢⣤⥀⧐⨀⩫⩽⪁⪂⪃⪉⪑⪔⪕⪖⪙⪚⪟⪠⪮⪯⪰⪷⪸⬇⬎⬑⬔⬕⬠⭔䷁𝌁𝌄𝌇🀱🁤🐭🐮🐱😇😴😹"
)
