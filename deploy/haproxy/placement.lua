-- Decides which process gets a request. It asks each process's /capacity twice a second.
--
-- A new call goes to the process with the most room: free lines, less those who wait, less the calls sent there that its
-- last answer cannot include yet. So two calls within a millisecond do not both get the last line, and where no line is
-- free, a caller joins the shortest queue. A connection count would not do: a WebRTC call is none of ours.
--
-- Everything else goes where its path says (/gpu-1/...), else where the browser's page came from (a cookie).

local BACKEND = "processes"
local COOKIE = "personaplex_process"
local ASK_EVERY_MS = 500
local ANSWER_WITHIN_SEC = 1
local MOST_ANSWER_BYTES = 4096
local PROMISE_SEC = 10 -- a call that was sent away and not answered by then never came

local processes = {} -- in the order of their names
local by_name = {}

local function now()
    local at = core.now()
    return at.sec + at.usec / 1e6
end

-- What a process tells of itself. ------------------------------------------------------------------------------------

local function parse(body)
    local free = tonumber(body:match('"lines_free":%s*(%d+)'))
    local waiting = tonumber(body:match('"waiting":%s*(%d+)'))
    local accepting = body:match('"accepting":%s*(%a+)')
    if not (free and waiting and accepting) then return nil end
    return { free = free, waiting = waiting, accepting = accepting == "true" }
end

local function read_capacity(process)
    local host, port = process.server:get_addr():match("^(.*):(%d+)$")
    if not host or host == "<unknown>" then return nil end
    local socket = core.tcp()
    socket:settimeout(ANSWER_WITHIN_SEC)
    local body
    if socket:connect(host, tonumber(port)) then
        socket:send("GET /capacity HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        local answer = socket:receive("*a")
        if answer and #answer <= MOST_ANSWER_BYTES then body = answer end
    end
    socket:close()
    return body and parse(body)
end

local function ask(process)
    local asked_at = now()
    local told = read_capacity(process)
    process.told, process.asked_at = told, asked_at
end

local function watch(process)
    while true do
        local ok, problem = pcall(ask, process)
        if not ok then
            process.told = nil
            core.log(core.err, "placement: " .. process.name .. ": " .. tostring(problem))
        end
        core.msleep(ASK_EVERY_MS)
    end
end

core.register_init(function()
    for name, server in pairs(core.backends[BACKEND].servers) do
        local process = { name = name, server = server, promises = {}, asked_at = 0 }
        table.insert(processes, process)
        by_name[name] = process
    end
    table.sort(processes, function(one, other) return one.name < other.name end)
    for _, process in ipairs(processes) do
        core.register_task(function() watch(process) end)
    end
end)

-- Room. --------------------------------------------------------------------------------------------------------------

-- Calls sent there that the process had not answered when it told its lines.
local function promised(process)
    local kept = {}
    for _, promise in ipairs(process.promises) do
        local counted = promise.answered_at and promise.answered_at < process.asked_at
        if not counted and now() - promise.made_at < PROMISE_SEC then table.insert(kept, promise) end
    end
    process.promises = kept
    return #kept
end

local function room(process)
    return process.told.free - process.told.waiting - promised(process)
end

-- The process for a new call and its room; `home`, where the browser's page came from, if it has a line free.
local function roomiest(home)
    local found, most
    for _, process in ipairs(processes) do
        if process.told and process.told.accepting then
            local has = room(process)
            if process == home and has > 0 then return process, has end
            if not found or has > most or (has == most and process == home) then found, most = process, has end
        end
    end
    return found, most
end

local function is_down(process)
    local status = process.server:get_stats().status or ""
    return status:match("^DOWN") or status:match("^MAINT")
end

-- Where no process takes calls, one that answers says why in the way of the caller's channel.
local function any_that_answers()
    for _, process in ipairs(processes) do
        if not is_down(process) then return process end
    end
end

local function choose(home)
    local found, has = roomiest(home)
    if found and has <= 0 then -- a line may have become free since
        for _, process in ipairs(processes) do
            if process.told then ask(process) end
        end
        found = roomiest(home)
    end
    return found or any_that_answers()
end

-- The actions of haproxy.cfg. ----------------------------------------------------------------------------------------

-- Reads txn.begins (it begins a call). Sets txn.process, the name of the server; txn.gone, where the path names one that
-- is down; txn.remember, for the cookie.
core.register_action("place", { "http-req" }, function(txn)
    local path = txn.sf:path()
    local named = by_name[path:match("^/([^/]+)") or ""]
    if named then
        txn:set_var("txn.process", named.name)
        if is_down(named) then txn:set_var("txn.gone", true) end
        return
    end
    local home = by_name[txn.sf:req_cook(COOKIE)]
    if home and is_down(home) then home = nil end
    if txn:get_var("txn.begins") then
        local process = choose(home)
        if not process then return end
        local promise = { made_at = now() }
        table.insert(process.promises, promise)
        txn:set_priv(promise)
        txn:set_var("txn.process", process.name)
        return
    end
    -- A page that is opened anew leaves a process that takes no calls; one that is open stays until the end.
    local stays = home and (path ~= "/" or (home.told and home.told.accepting))
    local process = stays and home or roomiest(home) or home or any_that_answers()
    if not process then return end
    txn:set_var("txn.process", process.name)
    if process ~= home then txn:set_var("txn.remember", process.name) end
end)

-- The process has answered: from now on it counts the call itself.
core.register_action("placed", { "http-res" }, function(txn)
    local promise = txn:get_priv()
    if promise then promise.answered_at = now() end
end)
