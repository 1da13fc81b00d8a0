"""How people say what is no question about facts: patterns for what was said, in lower case. Data only.

An entry matches if one of its patterns is all that was said; the first entry that does counts.
"""

THANKS = (
    r"(?:many |great |perfect |okay |no )?(?:thanks?|thank you|cheers)(?: (?:so|very) much| a lot| for "
    r"\w+(?: \w+){0,3})?"
)
BYE = (
    r"(?:good ?bye|bye|bye bye|see you|see ya|have a (?:nice|good|great) (?:day|evening|one|night)|take "
    r"care|that is all|that's all)"
)

TALK: dict[str, tuple[str, ...]] = {
    "human": (
        (
            r".*\b(?:speak|talk|transfer|connect|put me|get me)\b.*\b(?:human|person|agent|representative|"
            r"operator|someone|somebody|manager|supervisor)\b.*"
        ),
    ),
    "emergency": (
        (
            r".*\b(?:emergency|heart attack|can't breathe|cannot breathe|bleeding heavily|suicid\w+|"
            r"ambulance|"
            r"call 911|call 112|there is a fire)\b.*"
        ),
    ),
    "robot": (
        (
            r"(?:are you|is this|am i (?:talking|speaking) (?:to|with)) (?:a |an )?(?:real |actual |live "
            r")?(?:robot|human|bot|machine|person|ai|computer|recording|chatbot|human being|real)(?: or .*)?"
        ),
    ),
    "name": (
        (
            r"(?:who are you|what is your name|what are you called|who is this|who am i (?:speaking|talking) "
            r"(?:to|with)|may i (?:ask|have|know) your name|can i (?:ask|have) your name|your name|with whom "
            r"am i (?:speaking|talking)|who is speaking|what was your name|introduce yourself)(?: please| "
            r"again)?"
        ),
    ),
    "company": (
        (
            r"(?:what|which) (?:company|business|bank|office|restaurant|shop|store|place|hotel|clinic|museum|"
            r"firm) (?:is this|are you(?: with)?|is it|do you work for)"
        ),
        r"(?:who do|which company do|where do) you work(?: for| at)?",
        (
            r"what is the name of (?:your|the|this) (?:company|business|bank|office|restaurant|shop|store|"
            r"place|hotel|clinic|museum|firm)"
        ),
        r"who (?:have|did) i (?:reached?|called?)",
        r"where am i calling",
        r"(?:is this|have i reached) the right number",
    ),
    "able": (
        r"what can you (?:do|help(?: me)? with|tell me)(?: for me)?",
        r"how can you help(?: me)?",
        r"what do you (?:do|know)",
        r"can you help me",
        r"i need (?:some |your )?help",
        r"help",
        r"i have a question",
        r"can i ask (?:you )?(?:something|a question)",
    ),
    "well": (
        (
            r"(?:how are you|how are you doing|how is it going|how do you do|how was your day|"
            r"how is your day|"
            r"how have you been|are you (?:okay|well|alright)|what is up|nice to (?:meet|talk to) you)(?: "
            r"today| doing| going| so far| doing today)?"
        ),
    ),
    "fine": (
        (
            r"(?:i am|i'm|we are|we're|all|very|pretty)? ?(?:doing |very |quite |so )?(?:fine|good|great|"
            r"well|"
            r"not bad)(?: too)?(?: thanks?| thank you)?(?: and (?:you|yourself)| how are you| how about you)?"
        ),
    ),
    "repeat": (
        (
            r"(?:(?:can|could|would) you )?(?:please )?(?:repeat|say)(?: (?:it|that|this))?(?: again| once "
            r"more| one more time| please)*"
        ),
        (
            r"(?:come again|pardon(?: me)?|what did you (?:just )?say|once more|what was that|i did not "
            r"(?:hear|get|understand|catch) (?:that|you|it)|i didn't (?:hear|get|understand|catch) (?:that|"
            r"you|it)|sorry what|say again|excuse me)"
        ),
    ),
    "heard": (
        r"(?:can|do) you (?:hear|understand) me(?: now| okay)?",
        r"are you (?:still )?there",
        r"is (?:anybody|anyone|somebody) there",
        r"testing",
        r"test",
    ),
    "thanks": (
        rf"{THANKS}",
        (
            r"(?:that is|that's|you are|you were|you've been) (?:very |really |so )?(?:helpful|kind|great|"
            r"perfect|good|nice|all i needed)"
        ),
    ),
    "bye": (rf"(?:{THANKS} )?(?:no )?{BYE}(?: then| now| {THANKS}| for now| {BYE})*",),
    "hello": (r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|howdy|yo)(?: there| \w+)?",),
    "sorry": (
        r"(?:i am |i'm )?sorry(?: about that)?",
        r"my bad",
        r"wrong number",
        r"never mind",
        r"nevermind",
        r"forget it",
    ),
    "yes": (
        (
            r"(?:yes|yeah|yep|ok|okay|sure|alright|all right|right|i see|great|perfect|good|fine|cool|nice|"
            r"got it|i understand|understood|wonderful|sounds good|that's right|exactly|mhm|uh huh|very good|"
            r"awesome)(?: please| great| okay| good| then)*"
        ),
    ),
    "no": (
        r"no",
        r"nope",
        r"no thanks",
        r"no thank you",
        r"not really",
        r"nothing",
        r"nothing else",
        r"no that's all",
        r"no that is all",
        r"not now",
    ),
}

OVERRIDES = (
    (
        r"\b(?:ignore|forget|disregard|override|bypass)\b.*\b(?:instructions?|role|rules?|prompt|previous|"
        r"above|everything|told|guidelines?)\b"
    ),
    r"\b(?:system|hidden|initial|secret) (?:prompt|instructions?|message)\b",
    r"\b(?:repeat|say|read)\b.*\b(?:after me|your (?:prompt|instructions?|role|rules?))\b",
    (
        r"\b(?:reveal|print|show|read|recite|tell me|what (?:is|are)|what were)\b.*\byour (?:\w+ )?(?:prompt|"
        r"instructions?|role|rules)\b"
    ),
    (
        r"\b(?:you are now|from now on|pretend (?:to|you)|act as|new (?:rule|instruction)s?|developer mode|"
        r"jailbreak|roleplay as)\b"
    ),
    r"^(?:say|repeat) (?:that|exactly|the words|this)\b",
)
"""What wants the assistant to be something else, or to read out its role; anywhere in what was said."""
