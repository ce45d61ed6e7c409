-- The load of bench/run: the same script for each proxy. Every request is a GET of a range query that
-- was never asked before, over connections that stay open.
--
-- Arguments: a name that makes this run's queries its own, the most requests that may be made, the bearer token.

local run, most, token
local asked = 0

-- A panel's usual query, encoded; %s is where each request differs.
local target = "/prometheus/api/v1/query_range?query=histogram_quantile%%280.95%%2C%%20sum%%20by%%20%%28le%%29"
  .. "%%20%%28rate%%28http_request_duration_seconds_bucket%%7Bservice%%3D%%22catalog%%22%%2C%%20pod%%3D%%22%s-%d%%22%%7D"
  .. "%%5B5m%%5D%%29%%29%%29&start=1767225600&end=1767229200&step=15"

local head = " HTTP/1.1\r\nHost: palisade.example\r\nAuthorization: Bearer %s\r\nAccept: application/json\r\n"
  .. "Accept-Encoding: identity\r\nUser-Agent: bench\r\n\r\n"

-- Threads draw from one range of numbers each.
local threads = 0
function setup(thread)
  thread:set("first", threads * 100000000)
  threads = threads + 1
end

function init(arguments)
  run, most, token = arguments[1], tonumber(arguments[2]), arguments[3]
  head = head:format(token)
end

function request()
  asked = asked + 1
  if asked > most then wrk.thread:stop() end
  return "GET " .. target:format(run, first + asked) .. head
end

-- One line for bench/run: answers, those that are no success, and connections that failed.
function done(summary)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(("result %d %d %d\n"):format(summary.requests, errors.status, broken))
end
