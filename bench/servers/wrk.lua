-- Posts the lines of a file in turn, with an Authorization header where one is given. The last line it prints is a JSON object for wrk.py.

local requests = {}
local current = 0

function init(args)
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = args[2] }
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  current = current % #requests + 1
  return requests[current]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format(
    '{"requests": %d, "duration_us": %d, "errors": %d, "p50_us": %.1f, "p99_us": %.1f}',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)
  ))
end
