-- Decides which process gets a request. It asks each process's /capacity twice a second.
--
-- A new call goes to the process with the most room: free lines, less those who wait, less the calls sent there that its
-- last answer cannot include yet. So two calls within a millisecond do not both get the last line, and where no line is
-- free, a caller joins the shortest queue. A connection count would not do: a WebRTC call is none of ours.
--
-- Everything else goes where its path says (/gpu-1/...), else where the browser's page came from (a cookie).
-- A process is gone, and its pages go elsewhere, once it refuses a connection or leaves MOST_MISSED questions in a row
-- without an answer in time. Until then it is only late: pages stay, and new calls go to others that have a line.
-- What chooses does not wait between looking and promising, so no two requests choose the same line.

local BACKEND = "processes"
local COOKIE = "personaplex_process"
local VISITOR = "personaplex_visitor"
local CONFIG = "/webrtc/config" -- what a page asks first; it calls the process that answered
local OFFER = "/webrtc/offer"
local HEALTH = "/health"
local TWILIO = "^/twilio/%a" -- its later questions, which another process answers with a sentence
local ASK_EVERY_MS = tonumber(os.getenv("ASK_EVERY_MS")) or 500
local ANSWER_WITHIN_SEC = tonumber(os.getenv("ANSWER_WITHIN_SECONDS")) or 2 -- also haproxy.cfg's `timeout check`
local MOST_MISSED = 3 -- as `fall` in processes.cfg
local MOST_ANSWER_BYTES = 4096
local SETTLES_SEC = 1
local PROMISE_SEC = 10 -- a call that was sent away and has not come by then never will

local processes = {} -- in the order of the servers' names
local turn = 0

local function now()
    local at = core.now()
    return at.sec + at.usec / 1e6
end

-- What a process tells of itself. ------------------------------------------------------------------------------------

local function parse(answer)
    local free = tonumber(answer:match('"lines_free":%s*(%d+)'))
    local waiting = tonumber(answer:match('"waiting":%s*(%d+)'))
    local accepting = answer:match('"accepting":%s*(%a+)')
    if not (free and waiting and accepting) then return nil end
    local path = answer:match('"instance_path":%s*"/([%w-]+)"')
    return { free = free, waiting = waiting, accepting = accepting == "true", path = path }
end

-- What it tells, else whether it is not there at all. A connection that takes too long is not a refused one.
local function read_capacity(process)
    local host, port = (process.server:get_addr() or ""):match("^([%x.:]+):(%d+)$")
    if not host then return nil, true end -- its name has no address now
    local socket = core.tcp()
    socket:settimeout(ANSWER_WITHIN_SEC)
    local began = now()
    if not socket:connect(host, tonumber(port)) then
        socket:close()
        return nil, now() - began < ANSWER_WITHIN_SEC
    end
    socket:send("GET /capacity HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    local answer = socket:receive("*a")
    socket:close()
    return answer and #answer <= MOST_ANSWER_BYTES and parse(answer) or nil, false
end

-- Several questions at once, of callers who all have to wait, miss one answer, not several.
local function note_missed(process, asked_at, refused)
    if refused then
        process.missed = MOST_MISSED
    elseif asked_at >= process.missed_at then
        process.missed, process.missed_at = process.missed + 1, now()
    end
    if process.missed >= MOST_MISSED then process.told = nil end
end

local function is_late(process) return process.missed > 0 end

local function is_gone(process) return process.missed >= MOST_MISSED end

local function ask(process)
    local asked_at = now()
    local done, told, refused = pcall(read_capacity, process)
    if asked_at < process.asked_at then return end -- another question, asked later, was answered sooner
    process.asked_at = asked_at
    if done and told then
        process.told, process.missed = told, 0
        if told.path then process.name = told.path end
    else
        note_missed(process, asked_at, done and refused)
    end
    if not done then core.log(core.err, "placement: " .. process.server_name .. ": " .. tostring(told)) end
end

local function watch(process)
    while true do
        ask(process)
        core.msleep(ASK_EVERY_MS)
    end
end

core.register_init(function()
    for name, server in pairs(core.backends[BACKEND].servers) do
        -- `name`: what paths and cookies call it. Its INSTANCE_PATH, as far as it tells one.
        local process = { name = name, server_name = name, server = server, promises = {} }
        process.asked_at, process.missed, process.missed_at = 0, 0, 0
        table.insert(processes, process)
    end
    table.sort(processes, function(one, other) return one.server_name < other.server_name end)
    for _, process in ipairs(processes) do
        core.register_task(function() watch(process) end)
    end
end)

local function is_down(process)
    local status = process.server:get_stats().status or ""
    return status:match("^DOWN") or status:match("^MAINT")
end

-- The process of that name. In a cluster one that came back may have another place in the list than before.
local function named(name)
    local found
    for _, process in ipairs(processes) do
        if process.name == name and (not found or is_down(found)) then found = process end
    end
    return found
end

-- Promises: calls that were sent to a process and that its last answer cannot include. ---------------------------------

-- `key`: of a page whose offer is yet to come; none where the request itself begins the call.
local function promise(process, key)
    local made = { made_at = now(), key = key }
    table.insert(process.promises, made)
    return made
end

local function promised(process)
    local kept = {}
    for _, made in ipairs(process.promises) do
        local counted = made.answered_at and made.answered_at < process.asked_at
        if not counted and now() - made.made_at < PROMISE_SEC then table.insert(kept, made) end
    end
    process.promises = kept
    return #kept
end

-- The page's offer, or its websocket, is there: it is counted itself.
local function keep(key)
    for _, process in ipairs(processes) do
        for at, made in ipairs(process.promises) do
            if made.key == key then return table.remove(process.promises, at) end
        end
    end
end

-- Choosing. ----------------------------------------------------------------------------------------------------------

local function roomiest_of(home, late)
    local found, most
    for at = 0, #processes - 1 do
        local process = processes[(turn + at) % #processes + 1]
        if process.told and process.told.accepting and is_late(process) == late then
            local room = process.told.free - process.told.waiting - promised(process)
            if process == home and room > 0 then return process, room end
            if not found or room > most or (room == most and process == home) then found, most = process, room end
        end
    end
    return found, most
end

-- The process for a new call, and its room: `home`, where the browser's page came from, as long as it has a free line.
-- Of several that have the same, the next one in turn, which changes with each page. One that is late gets a call only
-- where nobody else has a line.
local function roomiest(home)
    local found, room = roomiest_of(home, false)
    if found and room > 0 then return found, room end
    local late, its_room = roomiest_of(home, true)
    if late and (not found or its_room > 0) then return late, its_room end
    return found, room
end

-- Where no process takes calls, one that answers says why, in the way of the caller's channel.
local function any_that_answers()
    for _, process in ipairs(processes) do
        if not is_down(process) then return process end
    end
end

-- Whether no call may be counted twice: by its process, and as a promise that was kept since it told its lines.
local function is_settled()
    for _, process in ipairs(processes) do
        promised(process)
        for _, made in ipairs(process.promises) do
            if not made.key then return false end
        end
    end
    return true
end

local function ask_all()
    for _, process in ipairs(processes) do
        if not is_late(process) then ask(process) end -- one that is late would keep the caller waiting
    end
end

-- Before a caller has to wait, all are asked anew: a line may have become free, or be counted twice. It waits anyway.
local function for_call(home)
    local found, room = roomiest(home)
    local settles_until = now() + SETTLES_SEC
    while not found or room <= 0 do
        ask_all()
        found, room = roomiest(home)
        if is_settled() or now() > settles_until then break end
        core.msleep(20)
    end
    return found or any_that_answers()
end

-- A page that is opened anew leaves a process that is gone or takes no calls; one that is open stays until the end. How
-- it fares (lines free, callers waiting) is told by the process that would get its call.
local function for_page(home, path)
    local told = home and home.told -- none yet, just after HAProxy has begun: the page stays
    local refuses = home and (is_gone(home) or (told and not told.accepting))
    if home and not (path == HEALTH or (path == "/" and refuses)) then return home end
    return roomiest(home) or home or any_that_answers()
end

-- The actions of haproxy.cfg. ----------------------------------------------------------------------------------------

-- Reads txn.begins (it begins a call). Sets txn.process, the name of the server; txn.gone, where the path names a process
-- that is down; txn.remember, the process for the browser's cookie.
core.register_action("place", { "http-req" }, function(txn)
    local path = txn.sf:path()
    local visitor = txn.sf:req_cook(VISITOR)
    local key = visitor ~= "" and visitor or txn.sf:src()
    local first, rest = path:match("^/([^/]+)(.*)$")
    local there = named(first or "")
    if there then
        txn:set_var("txn.process", there.server_name)
        if is_down(there) then
            local other = rest:match(TWILIO) and any_that_answers()
            if other then txn:set_var("txn.process", other.server_name) else txn:set_var("txn.gone", true) end
        elseif (rest == OFFER or txn:get_var("txn.begins")) and keep(key) then
            txn:set_priv(promise(there))
        end
        return
    end
    local home = named(txn.sf:req_cook(COOKIE))
    if home and is_down(home) then home = nil end
    if txn:get_var("txn.begins") then
        keep(key)
        local process = for_call(home)
        if not process then return end
        txn:set_priv(promise(process, path == CONFIG and key or nil))
        txn:set_var("txn.process", process.server_name)
    else
        local process = for_page(home, path)
        if not process then return end
        txn:set_var("txn.process", process.server_name)
        if process ~= home and path ~= HEALTH then
            txn:set_var("txn.remember", process.name)
            turn = turn + 1
        end
    end
end)

-- The process has answered: from now on it counts the call itself.
core.register_action("placed", { "http-res" }, function(txn)
    local made = txn:get_priv()
    if made and not made.key then made.answered_at = now() end
end)
