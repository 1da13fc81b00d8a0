"""Names and loan words that misaki's lexicon lacks, or has wrong, and that the rules would read wrongly."""

_TABLE = """
jalapeno hˌɑləpˈAnjO|entree ˈɑntɹˌA|saute sɔtˈA|sauteed sɔtˈAd|pinata pɪnjˈɑtə|fiance fˌiɑnsˈA
fiancee fˌiɑnsˈA|creme kɹˈɛm|brulee bɹulˈA|souffle suflˈA|puree pjʊɹˈA|banh bˈɑn|acai ˌɑsɑˈi|fajita fəhˈitə
keto kˈitO|paleo pˈAliO|gyro jˈiɹO|pho fˈʌ|halloumi həlˈumi|kombucha kəmbˈuʧə|sriracha siɹˈɑʧə|physio fˈɪziO
ensuite ɑnswˈit|wifi wˈIfˌI|webinar wˈɛbənˌɑɹ|airbnb ˈɛɹbˌiˌɛnbˈi|venmo vˈɛnmO|zelle zˈɛl|spotify spˈɑtəfˌI
gmail ʤˈimˌAl|ikea Ikˈiə|costco kˈɔskˌO|toyota tYˈOtə|hyundai hˈʌndA|volkswagen vˈOksˌwæɡən|peugeot pjˈuʒO
renault ɹənˈO|porsche pˈɔɹʃə|xiaomi ʃWmˈi|huawei wˈɑwˌA|chatgpt ʧˈætʤˌipˌitˈi|macos mˈækˌOˌɛs|ios ˌIˌOˈɛs
github ɡˈɪthˌʌb|json ʤˈAsən|whatsapp wˈʌtsˌæp|nvidia ɛnvˈɪdiə|gradio ɡɹˈAdiˌO|kyutai kjutˈI|linux lˈɪnəks
xavier zˈAvjəɹ|siobhan ʃəvˈɔn|sean ʃˈɔn|nguyen wˈɪn|joaquin wɑkˈin|jose hOzˈA|juan wˈɑn|javier hˌɑviˈɛɹ
miguel mɪɡˈɛl|rodriguez ɹədɹˈiɡɛz|hernandez həɹnˈændɛz|gonzalez ɡɑnzˈɑlɛz|garcia ɡɑɹsˈiə|lopez lˈOpɛz
martinez mɑɹtˈinɛz|sanchez sˈænʧɛz|ramirez ɹəmˈɪɹɛz|perez pˈɛɹɛz|patel pətˈɛl|wang wˈɑŋ|zhang ʤˈɑŋ|zhao ʤˈW
huang hwˈɑŋ|liu ljˈu|xu ʃˈu|zhou ʤˈO|ahmed ˈɑmɛd|mohammed mOhˈɑmɛd|muhammad mʊhˈɑməd|aisha Iˈiʃə|priya pɹˈiə
hiroshi hɪɹˈOʃi|olga ˈOlɡə|sergei səɹɡˈA|wojciech vˈYʧɛk|lukasz lˈukɑʃ|francois fɹɑnswˈɑ|jacques ʒˈɑk
benoit bɛnwˈɑ|chloe klˈOi|zoe zˈOi|renee ɹənˈA|andre ˈɑndɹˌA|bjorn bjˈɔɹn|lars lˈɑɹz|anders ˈændəɹz
giuseppe ʤusˈɛpi|luigi luˈiʤi|francesca fɹænʧˈɛskə|giulia ʤˈuljə|beyonce biˈɑnsˌA|giovanni ʤOvˈɑni
yvonne ivˈɑn|yvette ivˈɛt|desiree dˌɛzəɹˈA|stephane stəfˈɑn|helene əlˈɛn|jurgen jˈɜɹɡən
nowak nˈOvɑk|novak nˈOvˌæk
"""

OWN_WORDS: dict[str, str] = {
    word: sounds
    for entry in _TABLE.replace("\n", "|").split("|")
    if entry
    for word, sounds in [entry.split(maxsplit=1)]
}
