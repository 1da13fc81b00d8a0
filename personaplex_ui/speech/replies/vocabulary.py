"""Tables of everyday English for matching questions with facts: which words say the same, and which say
nothing. Data only."""

SAME_MEANING = (
    "child kid boy girl toddler children kids son daughter",
    "doctor dr physician",
    "vaccine vaccination shot jab vaccinate",
    "bike bicycle",
    "wifi internet wireless",
    "pool swimming swim",
    "garage carport parking park",
    "photo photograph photography picture",
    "food eat eating meal",
    "pickup collection collect collected",
    "trash garbage waste rubbish",
    "combo bundle",
    "live reside home living",
    "job work profession occupation working",
    "enjoy love",
    "dislike hate",
    "travel traveled travelled travelling",
    "reserve reservation booking book reserved",
    "withdraw withdrawal",
    "lost lose",
    "stolen steal stole",
    "replacement new replace",
    "foreign abroad overseas currency",
    "bag luggage suitcase backpack",
    "upcoming next",
    "schedule timetable",
    "decline declined reject rejected flag flagged",
    "discount off reduction reduced",
    "ticket entry admission entrance-fee",
    "outdoor outside outdoors",
    "seat seating sit",
    "late later",
    "found founder establish established",
    "former before previously formerly",
    "cancel cancellation cancelled cancelling canceled",
    "deliver delivery",
    "rent rental hire",
    "fail failing failure",
    "normally usually",
    "compost composting",
    "spaceship ship",
    "contain contains containing ingredient",
    "poach poached",
    "wheelchair wheelchairs",
    "cashmachine atm",
    "checkout check-out",
    "checkin check-in",
    "confidential private secret",
    "exhibition exhibit",
    "pet animal",
    "elevator lift",
    "toilet restroom bathroom",
    "vegan plant-based",
    "shuttle transfer",
    "repair fix mend",
    "shop store",
    "return returned",
    "adult grownup",
    "treat treats",
    "spicy hot",
    "group party",
    "men man husband gentleman male",
    "women woman wife lady ladies female",
    "membership join member",
    "freeze pause suspend",
    "training trainer train coach",
    "coloring color colour colouring dye tint",
    "haircut cut",
    "swimwear swimsuit",
    "trim trimming",
    "print printing printed",
    "flight fly flying",
    "infant baby babies",
    "store shop",
)

KINDS_OF = {
    "pet": "dog cat",
    "dog": "pet",
    "cat": "pet",
    "drink": "wine beer coffee tea juice",
    "dessert": "tiramisu cake cheesecake icecream pie pudding",
    "alcohol": "wine beer cocktail",
    "seafood": "fish shrimp salmon tuna",
    "meat": "pork beef chicken lamb ham",
    "vehicle": "car bike",
}
"""A caller's word, and the words of a role that it may stand for."""

PHRASES = (
    (r"\belectric (?:bikes?|bicycles?)\b", "ebike"),
    (r"\bswimming pools?\b", "pool"),
    (r"\b(?:bring|take|give) (?:(?:the|a|my|it|them) )?(?:\w+ )?back\b", "return"),
    (r"\bpick(?:ed|ing)? (?:(?:it|them|up|the \w+) ?){0,2}up\b", "pickup"),
    (r"\bpick up\b", "pickup"),
    (r"\bcome (?:and )?(?:get|collect|pick)\b", "pickup"),
    (r"\b(?:cash machines?|atms?)\b", "cashmachine"),
    (r"\bice cream\b", "icecream"),
    (r"\bcombo (?:deals?|offers?|menus?)\b", "combo"),
    (r"\bhow late\b", "until when"),
    (r"\bhow (?:heavy|fast|soon|quickly)\b", "how long"),
    (r"\bfree of charge\b", "free"),
    (r"\bset me back\b", "cost"),
    (r"\b(?:the|a) fine(?=$|[?.,!])", "fee"),
    (r"\bmoney (?:\w+ )?back\b", "refund"),
    (r"\b(?:can't|cannot|can not) find\b|\bhave lost\b|\blosing\b", "lost"),
    (r"\b(?:take|get) out\b", "withdraw"),
    (r"\b\w+[- ]year[- ]olds?\b", "child"),
    (r"\bfor (?:a )?(?:living|work)\b", "job"),
    (r"\b(?:new|spare) card\b", "replacement card"),
    (r"\ba ?\.?m\b\.?", "am"),
    (r"\bp ?\.?m\b\.?", "pm"),
    (r"\bexpensive|pricey\b", "cost"),
)
"""Patterns in lower case text, and the word that takes their place."""

SAYS_NOTHING = """
half someone somebody weekday weekdays dollar dollars euro euros cent cents pound pounds buck bucks
percent cheapest cheaper expensive midnight noon problem forgot forget forgotten sick ill somewhere
anywhere anymore okay fine a an the i you he she it we they me him her us them my your his its our
their mine yours this that these those here there is are am be been being was were do does did done
have has had having will would shall should can could may might must and or but if so then than as
of to in on at by for from with without about into onto up down out over under again what which who
whom whose when where why how please thanks thank hi hello hey ok okay yes no not yeah yep nope well
just only also too very really quite actually maybe perhaps um uh er hmm oh ah like sorry excuse
wondering wonder know tell say said ask asking question let give show want wants wanted need needs
needed think thinking thought get gets got getting go goes going come comes coming take takes taking
taken took make makes made see look looking find use used using put try able possible possibly
exactly right kind sort type thing things something anything everything some any all more most much
many lot lots bit little one ones other another each such same every both own way mean still now
today tomorrow tonight moment currently currently please right sure good nice great fine interested
whole help quick quickly information info detail details regarding concerning got would'd ll re ve s
t d m im ive id youre theres whats hows wheres whos dont doesnt cant isnt arent wont gonna wanna
chance happen happens happened hear heard speaking speak talk talking told remind around per during
while since because case order ordering charge price cost pay paid fee rate rates prices costs pays
charges fees money amount total worth cheap time day date hour hours old long often far early soon
until till latest name address located location number phone telephone email website contact person
people call calling folks guys place hour minute
"""
"""Words of a question that need not be in a fact."""

MAY_BE_MISSED = """
add open close start begin end finish stop shut serve offer provide have available include allow
allowed bring table glass model option choice item product service menu visit customer guest caller
company business bring require pay late cook_ run leave glass cup piece slice portion plate friend
current way come keep stay plan buy purchase car use wear required
"""
"""Words that count where they are found, and are not missed elsewhere."""

UNITS = "morning afternoon evening night week month year weekend"
"""Silent where a price or a time is asked for; in ``can I rent for a week`` they count."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty"""
NUMBERS: dict[str, str] = {
    word: str(number) for number, word in enumerate(_NUMBERS.split()) if word != "one"
} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "hundred": "100",
}

_OFTEN_HEARD = """
water waiter beer wine coffee tea soup soap bread milk juice fish meat chicken rice pasta pizza
burger salad cake cheese dinner lunch breakfast house home car truck train plane taxi bus door floor
wall table chair bed bath towel pillow key phone letter paper book pen money bank card cash coin
check bill ticket tour guide map museum hotel motel hospital doctor nurse dentist drug pill blood
test heart head hand foot back skin bone baby boy girl man woman mother father sister brother friend
dog cat bird horse pet school student teacher class office boss job work music movie game sport team
ball weather rain snow sun summer winter spring street road park garden beach pool gym sauna sea
lake river city town village country shop store market mall shirt shoe coat hat dress color red blue
green black white small large big short tall hot cold warm fast slow cheap free easy hard light dark
heavy insurance license contract account loan mortgage interest branch locker gift audio video
picture camera battery charger engine tire wheel seat senior adult child teenager parent guest
visitor member discount coupon refund receipt
"""
OFTEN_HEARD = frozenset(_OFTEN_HEARD.split())
"""Common words that a recogniser gets right: none of them is taken for a word that only sounds like it."""
