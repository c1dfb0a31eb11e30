-- Each request has the cookie of a session picked at random from the file that follows `--` on wrk's command line.

local threads = 0
local requests = {}

function setup(thread)
    threads = threads + 1
    thread:set("seed", threads)
end

function init(args)
    math.randomseed(seed)
    for cookie in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format(nil, nil, { Cookie = cookie })
    end
end

function request()
    return requests[math.random(#requests)]
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local line = "RESULT requests=%d microseconds=%d failed=%d p99=%d\n"
    io.write(line:format(summary.requests, summary.duration, failed, latency:percentile(99)))
end
