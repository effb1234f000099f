-- One operation in one atomic step, as `policyengine/state/apply.py` says it. That file is the specification, and this one
-- is held to it by the same tests.
--
-- KEYS: the documents' keys. ARGV[1]: the operation. ARGV[2]: the time in microseconds, or nothing for the server's own.
-- The operation and the answer are MessagePack, and `form.lua` says what documents are. Numbers are whole and below 2^53, which Lua counts exactly.

local BUCKETS, MILLION, GRACE = 60, 1000000, 60000000
local MAX_LABELS, MAX_CALLS = 256, 1024

local op = cmsgpack.unpack(ARGV[1])
local now
if ARGV[2] ~= '' then
  now = tonumber(ARGV[2])
else
  local time = redis.call('TIME')
  now = time[1] * MILLION + time[2]
end

local documents = {}
if #KEYS > 0 then
  for i, text in ipairs(redis.call('MGET', unpack(KEYS))) do
    if text then documents[KEYS[i]] = opened(text) end
  end
end

local function write(key, document, expires)
  if ARGV[2] ~= '' then
    -- The server would forget by its own clock.
    redis.call('SET', key, formed(document))
    return
  end
  -- What may be forgotten already is not kept for less than a millisecond.
  local lasts = math.max(1, math.ceil((expires - now) / 1000))
  redis.call('SET', key, formed(document), 'PX', string.format('%.0f', lasts))
end

local function answer(...) return cmsgpack.pack({...}) end
local function rejected(reason) return answer('rejected', reason) end

local function copy(document)
  local made = {}
  for k, v in pairs(document or {}) do made[k] = v end
  return made
end

-- ---- one meter ----

local function time_of(document) return document and math.max(now, document.now) or now end

-- What counts: until when, and how much.
local function live(document, window, at)
  local found = {}
  if not document then return found end
  if window.kind == 'sliding' then
    local oldest = math.floor(at / window.width) - BUCKETS
    for _, bucket in ipairs(document.buckets or {}) do
      if bucket[1] >= oldest then
        found[#found + 1] = {(bucket[1] + BUCKETS + 1) * window.width, bucket[2]}
      end
    end
  elseif window.kind == 'calendar' then
    if (document.used or 0) > 0 and document.start <= at and at < document['end'] then
      found[1] = {document['end'], document.used}
    end
  else
    for _, ends in pairs(document.leases or {}) do
      if ends > at then found[#found + 1] = {ends, MILLION} end
    end
  end
  for _, hold in pairs(document.holds or {}) do
    if hold[2] > at then found[#found + 1] = {hold[2], hold[1]} end
  end
  return found
end

local function unheld(document, id)
  if not document then return nil end
  local made = copy(document)
  local holds, any = {}, false
  for k, hold in pairs(document.holds or {}) do
    if k ~= id then holds[k] = hold; any = true end
  end
  made.holds = any and holds or nil
  if document.leases then
    local leases = {}
    for k, ends in pairs(document.leases) do
      if k ~= id then leases[k] = ends end
    end
    made.leases = leases
  end
  return made
end

-- ---- ceilings relative to the past: `policyengine/state/relative_ceilings.py` ----

local LARGEST, MOST = 4503599627370496, 9007199254740991

-- The document of a meter whose limit has this share, whichever it had before.
local function shared(document, share)
  if not share and not (document and document.share) then return document end
  local made = copy(document)
  made.now = made.now or 0
  made.share = share
  if not share then made.past = nil end
  return made
end

-- The periods that are known, the one that the meter counts first.
local function known(document, window)
  local found = {}
  if document.start then found[1] = {document.start, document['end']} end
  for _, one in ipairs(window.periods or {}) do found[#found + 1] = one end
  return found
end

local function began(document, window, at)
  local length = document.share[3]
  if window.kind ~= 'calendar' then return math.floor(at / length) * length end
  local last = 0
  for _, one in ipairs(known(document, window)) do
    if one[1] <= at and at < one[2] then return one[1] end
    if one[2] <= at and one[2] > last then last = one[2] end
  end
  return last + math.floor((at - last) / length) * length
end

local function turns(document, window, at)
  if window.kind == 'calendar' then
    for _, one in ipairs(known(document, window)) do
      if one[1] <= at and at < one[2] then return one[2] end
    end
  end
  return began(document, window, at) + document.share[3]
end

-- How many periods lie between two beginnings.
local function age(begin, start, length) return math.floor((2 * (begin - start) + length) / (2 * length)) end

local function relative_ceiling(document, window, at)
  local percent, periods, length = document.share[1], document.share[2], document.share[3]
  local begin, total = began(document, window, at), 0
  for _, one in ipairs(document.past or {}) do
    local old = age(begin, one[1], length)
    if old >= 1 and old <= periods then total = math.min(total + one[2], MOST) end
  end
  local whole = math.floor(total / (100 * periods))
  local rest = total - whole * 100 * periods
  return math.min(whole * percent + math.floor(rest * percent / (100 * periods)), LARGEST)
end

-- The amount more in this period, and less in the one in which it was counted. Both change the document.
local function past_more(document, window, at, amount)
  local periods, length = document.share[2], document.share[3]
  local begin, past = began(document, window, at), {}
  for _, one in ipairs(document.past or {}) do
    if age(begin, one[1], length) <= periods then past[#past + 1] = {one[1], one[2]} end
  end
  if #past > 0 and past[#past][1] == begin then past[#past][2] = past[#past][2] + amount
  else past[#past + 1] = {begin, amount} end
  document.past = past
end

local function past_less(document, window, place, amount)
  local length, begin, past = document.share[3], place, {}
  if window.kind == 'sliding' then begin = math.floor(place * window.width / length) * length end
  for i, one in ipairs(document.past or {}) do
    past[i] = {one[1], one[1] == begin and one[2] - amount or one[2]}
  end
  document.past = past
end

local function past_ends(document)
  local latest = 0
  for _, one in ipairs(document.past or {}) do latest = math.max(latest, one[1]) end
  return latest + (document.share[2] + 2) * document.share[3]
end

local function used(document, window, at)
  local sum = 0
  for _, one in ipairs(live(document, window, at)) do sum = sum + one[2] end
  return sum
end

local function empty_at(document, window, at)
  local latest = nil
  for _, one in ipairs(live(document, window, at)) do
    if not latest or one[1] > latest then latest = one[1] end
  end
  return latest or at
end

local function expires(document, window, at)
  local ends = math.max(empty_at(document, window, at), document.blocked or 0)
  for _, one in ipairs(document.raised or {}) do ends = math.max(ends, one[2]) end
  if document.reset then ends = math.max(ends, document.reset[2]) end
  if document.share then ends = math.max(ends, past_ends(document)) end
  return ends + GRACE
end

local function raises(document, at)
  local found = {}
  for _, one in ipairs(document and document.raised or {}) do
    if one[2] > at then found[#found + 1] = one end
  end
  return found
end

local function raised_at(document, at)
  local sum = 0
  for _, one in ipairs(raises(document, at)) do sum = sum + one[1] end
  return sum
end

-- How much there may be.
local function ceiling_at(document, window, ceiling, at)
  if document and document.share then ceiling = math.max(ceiling, relative_ceiling(document, window, at)) end
  return ceiling + raised_at(document, at)
end

-- A copy without what is over.
local function tidy(document, at)
  local made = copy(document)
  local alive = raises(document, at)
  made.raised = #alive > 0 and alive or nil
  if made.reset and made.reset[2] <= at then made.reset = nil end
  return made
end

-- When the amount fits if nothing else comes; nil for never.
local function room_at(document, window, at, amount, ceiling)
  local counted = live(document, window, at)
  table.sort(counted, function(a, b) return a[1] < b[1] end)
  if document and (document.share or #raises(document, at) > 0) then
    -- The ceiling changes as well, so there may be room for a while only.
    local first = math.max(at, document.blocked or 0)
    local times = {first}
    for _, one in ipairs(counted) do
      if one[1] > first then times[#times + 1] = one[1] end
    end
    if document.share then
      local turn = turns(document, window, at)
      if turn > first then times[#times + 1] = turn end
      table.sort(times)
    end
    for _, time in ipairs(times) do
      local left = amount
      for _, one in ipairs(counted) do
        if one[1] > time then left = left + one[2] end
      end
      if left <= ceiling_at(document, window, ceiling, time) then return time end
    end
    return nil
  end
  if amount > ceiling then return nil end
  local left = amount - ceiling
  for _, one in ipairs(counted) do left = left + one[2] end
  local time = at
  for _, one in ipairs(counted) do
    if left <= 0 then break end
    left = left - one[2]
    time = one[1]
  end
  return math.max(time, document and document.blocked or 0)
end

-- The start and end of the period that the time lies in; nil where the host named none.
local function period(window, at)
  for _, one in ipairs(window.periods) do
    if one[1] <= at and at < one[2] then return one[1], one[2] end
  end
end

-- The document with an amount more, and where it is counted; nil where the clocks differ too much.
local function charged(document, window, at, amount, lease, ends)
  local made = tidy(document, at)
  made.now = at
  if window.kind == 'sliding' then
    local index = math.floor(at / window.width)
    local buckets = {}
    for _, bucket in ipairs(made.buckets or {}) do
      if bucket[1] >= index - BUCKETS then buckets[#buckets + 1] = {bucket[1], bucket[2]} end
    end
    if #buckets > 0 and buckets[#buckets][1] == index then
      buckets[#buckets][2] = buckets[#buckets][2] + amount
    else
      buckets[#buckets + 1] = {index, amount}
    end
    made.buckets = buckets
    if made.share then past_more(made, window, at, amount) end
    return made, index
  elseif window.kind == 'calendar' then
    if made.start and made.start <= at and at < made['end'] then
      made.used = made.used + amount
      if made.share then past_more(made, window, at, amount) end
      return made, made.start
    end
    local start, finish = period(window, at)
    if not start then return nil end
    made.start, made['end'], made.used = start, finish, amount
    if made.share then past_more(made, window, at, amount) end
    return made, start
  end
  local leases = {}
  for id, finish in pairs(made.leases or {}) do
    if finish > at then leases[id] = finish end
  end
  leases[lease] = ends
  made.leases = leases
  return made, 0
end

local function returned(document, window, at, amount, place, lease)
  if not document then return nil end
  if document.share then
    document = copy(document)
    past_less(document, window, place, amount)
  end
  if window.kind == 'sliding' and document.reset and place <= document.reset[1] then return document end
  local made = copy(document)
  made.now = at
  if window.kind == 'sliding' then
    local buckets = {}
    for _, bucket in ipairs(made.buckets or {}) do
      local left = bucket[1] == place and bucket[2] - amount or bucket[2]
      if left > 0 then buckets[#buckets + 1] = {bucket[1], left} end
    end
    made.buckets = buckets
  elseif window.kind == 'calendar' then
    if made.start ~= place then return document end
    made.used = math.max(0, made.used - amount)
  else
    local leases = {}
    for id, finish in pairs(made.leases or {}) do
      if id ~= lease then leases[id] = finish end
    end
    made.leases = leases
  end
  return made
end

-- ---- sessions ----

-- Until when a session that ends then is known.
local function session_kept(ends) return ends + 7 * 86400 * MILLION end

-- Whether the id belongs to a session, or to one that is over.
local function taken(document) return document and session_kept(document.expires) > now end

local function mine(document)
  if not document or document.expires <= now then return nil end
  if document.started < op.session.since then return nil end
  if document.tenant ~= op.session.tenant or document.principal ~= op.session.principal then return nil end
  return document
end

local function fresh()
  local s = op.session
  return {tenant = s.tenant, principal = s.principal, version = 0, started = now, expires = now + s.life,
          labels = {}, calls = {}}
end

local function counted(session, call, what)
  local calls, size = {}, 0
  for name, counts in pairs(session.calls) do calls[name] = counts; size = size + 1 end
  if not calls[call] then
    if size >= MAX_CALLS then return nil end
    calls[call] = {0, 0, 0}
  end
  local counts = {calls[call][1], calls[call][2], calls[call][3]}
  counts[what + 1] = counts[what + 1] + 1
  calls[call] = counts
  local made = copy(session)
  made.calls = calls
  return made
end

-- Labels in order, each once; nil where there are too many.
local function labelled(labels, add, remove)
  local has, sorted = {}, {}
  for _, label in ipairs(labels) do has[label] = true end
  for _, label in ipairs(add) do has[label] = true end
  for _, label in ipairs(remove) do has[label] = nil end
  for label in pairs(has) do sorted[#sorted + 1] = label end
  if #sorted > MAX_LABELS then return nil end
  table.sort(sorted)
  return sorted
end

-- The session after an allowed request, or nil and why not.
local function committed(asked, document)
  local session = mine(document)
  if not session and (taken(document) or asked.version or not asked.opens) then return nil, 'there is no such session' end
  session = session or fresh()
  if asked.version and session.version ~= asked.version then return nil, 'the session has changed' end
  local made = session
  if asked.call ~= '' then made = counted(session, asked.call, 1) end
  local labels = labelled(session.labels, asked.labels, {})
  if not made or not labels then return nil, 'the session is full' end
  made = copy(made)
  made.labels, made.version, made.expires = labels, session.version + 1, now + asked.life
  return made
end

-- ---- operations ----

-- Of `approvals.lua`, which stands before this.
local tickets = approvals(op, now, documents, write)

local SKEWED = 'the clocks of this host and of the store differ too much'

-- What a meter's document says of itself.
local function name(document, asked)
  document.rule, document.by, document.ceiling, document.width = asked.rule, asked.by, asked.ceiling, asked.window.width
  if asked.share then document.share = asked.share end
end

local function use(charge, document, at)
  return {charge.rule, charge.meter, used(document, charge.window, at),
          ceiling_at(document, charge.window, charge.ceiling, at), empty_at(document, charge.window, at)}
end

-- What the meters say, as they are.
local function uses_of(charges)
  local uses = {}
  for i, charge in ipairs(charges) do
    local document = shared(documents[charge.meter], charge.share)
    uses[i] = use(charge, document, time_of(document))
  end
  return uses
end

-- The limits without room, or nil; what trips is blocked.
local function refused(charges)
  local refusals, tripped = {}, {}
  for _, charge in ipairs(charges) do
    local document = shared(documents[charge.meter], charge.share)
    local at = time_of(document)
    local free = room_at(document, charge.window, at, charge.amount, charge.ceiling)
    if not charge.advisory and (not free or free > at) then
      local trips = charge.block_for > 0 and (document and document.blocked or 0) <= at
      if trips then
        local trip = copy(document)
        trip.now, trip.blocked = at, at + charge.block_for
        name(trip, charge)
        tripped[#tripped + 1] = {charge.meter, trip, expires(trip, charge.window, at)}
        if free then free = math.max(free, trip.blocked) end
      end
      refusals[#refusals + 1] = {charge.rule, charge.meter, used(document, charge.window, at),
                                  ceiling_at(document, charge.window, charge.ceiling, at), free or -1, trips}
    end
  end
  if #refusals == 0 then return nil end
  for _, one in ipairs(tripped) do write(one[1], one[2], one[3]) end
  return refusals
end

local function commit()
  if op.once then
    local earlier = documents[op.once]
    if earlier then
      if earlier.body ~= op.body then return rejected('the idempotency key belongs to another request') end
      local lease = documents[op.lease_key]
      if not lease or lease.state == 'cancelled' then return rejected('the reservation has ended') end
      return answer('done', now, uses_of(op.charges), 0, earlier.grant)
    end
  end
  local session
  if op.session then
    local reason
    session, reason = committed(op.session, documents[op.session.key])
    if not session then return rejected(reason) end
  end
  local approval
  if op.approval then
    local reason
    approval, reason = tickets.consumed(op.approval, documents[op.approval.key])
    if not approval then return rejected(reason) end
  end
  if op.held then
    if documents[op.lease_key] then return answer('done', now, uses_of(op.charges), now + op.lease, '') end
    for _, charge in ipairs(op.charges) do documents[charge.meter] = unheld(documents[charge.meter], op.id) end
  else
    local refusals = refused(op.charges)
    if refusals then return answer('refused', now, refusals) end
  end
  local ends = now + op.lease
  local uses, held, writes = {}, {}, {}
  for i, charge in ipairs(op.charges) do
    local earlier = shared(documents[charge.meter], charge.share)
    local at = time_of(earlier)
    local document, place = charged(earlier, charge.window, at, charge.amount, op.id, ends)
    if not document then return rejected(SKEWED) end
    name(document, charge)
    writes[i] = {charge.meter, document, expires(document, charge.window, at)}
    uses[i] = use(charge, document, at)
    held[i] = {meter = charge.meter, rule = charge.rule, kind = charge.window.kind, at = place, ceiling = charge.ceiling,
               width = charge.window.width, share = charge.share, reserved = charge.amount, counted = charge.amount, spent = 0}
  end
  for _, one in ipairs(writes) do write(one[1], one[2], one[3]) end
  if #held > 0 or op.once or op.elsewhere then
    local lease = {owner = op.owner, state = 'open', expires = ends, kept = now + op.keep, charges = held,
                   memo = op.memo, elsewhere = op.elsewhere, once = op.once and true or nil}
    write(op.lease_key, lease, now + op.keep)
  end
  if session then write(op.session.key, session, session_kept(now + op.session.life)) end
  if approval then write(op.approval.key, approval, tickets.ends(approval)) end
  if op.once then write(op.once, {body = op.body, grant = op.id}, now + op.keep) end
  return answer('done', now, uses, ends, '', approval and approval['until'] or 0)
end

-- The document of a meter that a lease is charged to.
local function held_document(one)
  local document = documents[one.meter]
  return one.share and shared(document, one.share) or document
end

local function held_use(one, document, window, at)
  return {one.rule, one.meter, used(document, window, at), ceiling_at(document, window, one.ceiling, at),
          empty_at(document, window, at)}
end

local function open_lease()
  local lease = documents[op.lease_key]
  if not lease or lease.owner ~= op.owner then return nil, 'there is no such reservation' end
  if lease.state ~= 'open' then return nil, 'the reservation has ended' end
  return lease
end

local function kept(lease) return math.max(lease.kept, lease.expires) end

-- A retry asks what became of a reservation that has ended, and nobody else does for long.
local function over(lease) return lease.once and kept(lease) or math.max(lease.expires, now) + GRACE end

-- Whoever did not hear the answer says the same again, and is told what it would have been.
local function settled_before(lease)
  if lease.state ~= 'settled' or not op.final then return nil end
  local uses = {}
  for i, one in ipairs(lease.charges) do
    if (one.said or -2) ~= (op.actual[one.meter] or -1) then return nil end
    local window = op.windows[one.meter] or {kind = one.kind, width = one.width, periods = {}}
    local document = held_document(one)
    uses[i] = held_use(one, document, window, time_of(document))
  end
  return uses
end

local function settle()
  local lease, reason = open_lease()
  if not lease then
    local earlier = documents[op.lease_key]
    local uses = earlier and earlier.owner == op.owner and settled_before(earlier)
    if uses then return answer('done', now, uses, earlier.expires, '') end
    return rejected(reason)
  end
  local writes, uses = {}, {}
  for i, one in ipairs(lease.charges) do
    local window = op.windows[one.meter] or {kind = one.kind, width = one.width, periods = {}}
    local document = held_document(one)
    local at = time_of(document)
    if one.kind == 'concurrent' then
      if op.final then document = returned(document, window, at, 0, 0, op.id) end
    else
      local spent = math.max(op.actual[one.meter] or (op.final and one.counted or 0), one.spent)
      local counts = op.final and spent or math.max(spent, one.counted)
      local more = counts - one.counted
      if more < 0 then
        document = returned(document, window, at, -more, one.at, op.id)
      elseif more > 0 then
        document = charged(document, window, at, more, op.id, 0)
        if not document then return rejected(SKEWED) end
      end
      one.counted, one.spent = counts, spent
    end
    if op.final then one.said = op.actual[one.meter] or -1 end
    if document then writes[#writes + 1] = {one.meter, document, expires(document, window, at)} end
    uses[i] = held_use(one, document, window, at)
  end
  for _, one in ipairs(writes) do write(one[1], one[2], one[3]) end
  lease.state = op.final and 'settled' or 'open'
  write(op.lease_key, lease, op.final and over(lease) or kept(lease))
  return answer('done', now, uses, lease.expires, '')
end

local function renew()
  local lease, reason = open_lease()
  if not lease then return rejected(reason) end
  if lease.expires <= now then return rejected('the reservation has ended') end
  local ends = now + op.lease
  lease.expires = ends
  write(op.lease_key, lease, math.max(kept(lease), ends))
  for _, one in ipairs(lease.charges) do
    local document = documents[one.meter]
    if one.kind == 'concurrent' and document then
      document.leases[op.id] = ends
      write(one.meter, document, expires(document, {kind = 'concurrent'}, now))
    end
  end
  return answer('done', now, {}, ends, '')
end

local function cancel()
  local lease, reason = open_lease()
  if not lease then return rejected(reason) end
  if lease.expires <= now then return rejected('the reservation has ended') end
  for _, one in ipairs(lease.charges) do
    if one.spent > 0 then return rejected('some of the reservation has been spent') end
  end
  for _, one in ipairs(lease.charges) do
    local window = {kind = one.kind, width = one.width, periods = {}}
    local document = documents[one.meter]
    local at = time_of(document)
    local back = returned(document, window, at, one.counted, one.at, op.id)
    if back then write(one.meter, back, expires(back, window, at)) end
  end
  lease.state = 'cancelled'
  write(op.lease_key, lease, over(lease))
  return answer('done', now, {}, 0, '')
end

local function hold()
  local refusals = refused(op.charges)
  if refusals then return answer('refused', now, refusals) end
  local ends = now + op.lasting
  for _, charge in ipairs(op.charges) do
    local earlier = shared(documents[charge.meter], charge.share)
    local at = time_of(earlier)
    local made
    if charge.window.kind == 'concurrent' then
      made = charged(earlier, charge.window, at, charge.amount, op.id, ends)
    else
      made = copy(earlier)
      made.now = at
      local holds = {}
      for k, one in pairs(made.holds or {}) do
        if one[2] > at then holds[k] = one end
      end
      holds[op.id] = {charge.amount, ends}
      made.holds = holds
    end
    name(made, charge)
    write(charge.meter, made, expires(made, charge.window, at))
  end
  return answer('done', now, {}, ends, '')
end

local function release()
  if documents[op.lease_key] then return cancel() end
  for _, charge in ipairs(op.charges) do
    local document = unheld(documents[charge.meter], op.id)
    if document then write(charge.meter, document, expires(document, charge.window, time_of(document))) end
  end
  return answer('done', now, {}, 0, '')
end

local function open_session()
  local document = documents[op.session.key]
  if taken(document) then return rejected('there is no such session') end
  local session = fresh()
  write(op.session.key, session, session_kept(session.expires))
  return answer('found', now, {session})
end

local function read_session()
  local document = documents[op.session.key]
  local session = mine(document)
  if not session and (taken(document) or not op.opens) then
    return rejected('there is no such session')
  end
  session = session or fresh()
  if op.attempted ~= '' then session = counted(session, op.attempted, 0) end
  if not session then return rejected('the session is full') end
  session = copy(session)
  session.expires = now + op.session.life
  write(op.session.key, session, session_kept(session.expires))
  return answer('found', now, {session})
end

local function label()
  local session = mine(documents[op.session.key])
  if not session then return rejected('there is no such session') end
  local labels = labelled(session.labels, op.add, op.remove)
  if not labels then return rejected('the session is full') end
  local made = copy(session)
  made.labels, made.version = labels, session.version + 1
  if op.completed ~= '' then made = counted(made, op.completed, 2) end
  if not made then return rejected('the session is full') end
  write(op.session.key, made, session_kept(made.expires))
  return answer('done', now, {}, 0, '')
end

local function read()
  local found = {}
  for i, key in ipairs(op.named) do found[i] = documents[key] or false end
  return answer('found', now, found)
end

-- ---- what operators do to a meter ----

local function reset(document, window, at)
  local made = copy(document)
  made.now, made.blocked = at, nil
  if window.kind == 'sliding' then
    local index = math.floor(at / window.width)
    made.buckets, made.reset = {}, {index, (index + BUCKETS + 1) * window.width}
  elseif window.kind == 'calendar' then
    if made.start then made.start, made.used, made.reset = made.start - 1, 0, {0, made['end']} end
  else
    made.leases = {}
  end
  return made
end

-- When all that can be counted now has left the window; nil where the clocks differ too much.
local function window_end(document, window, at)
  if window.kind == 'sliding' then return (math.floor(at / window.width) + BUCKETS + 1) * window.width end
  if window.kind == 'concurrent' then return at end
  if document and document.start and document.start <= at and at < document['end'] then return document['end'] end
  local _, finish = period(window, at)
  return finish
end

local function adjust()
  local document = documents[op.meter]
  local at, ends, made = time_of(document), 0, nil
  if op.what == 'reset' then
    made = reset(document, op.window, at)
  else
    ends = op.what == 'raise' and at + op.length or window_end(document, op.window, at)
    if not ends then return rejected(SKEWED) end
    local alive = raises(document, at)
    if #alive >= 64 then return rejected('the ceiling has too many raises at the same time') end
    alive[#alive + 1] = {op.amount, ends}
    made = copy(document)
    made.now, made.raised = at, alive
  end
  local change = {what = op.what, meter = op.named, rule = op.rule, by = op.by, amount = op.amount, ['until'] = ends,
                  why = op.why, who = op.who, at = now}
  write(op.key, change, now + op.kept)
  name(made, op)
  write(op.meter, made, expires(made, op.window, at))
  return answer('found', now, {change})
end

-- ---- blocks ----

local LIFTED, FOREVER = 30 * 86400 * MILLION, 36500 * 86400 * MILLION

local function impose()
  local before = documents[op.key] or {version = 0, entries = {}}
  local version = math.max(now, before.version + 1)
  local entries, size = {}, 0
  for name, one in pairs(before.entries) do
    local matters
    if one.blocked then matters = one['until'] == 0 or one['until'] > now else matters = one.at + LIFTED > now end
    if matters and name ~= op.name then
      entries[name] = one
      size = size + 1
    end
  end
  if size + 1 > op.most then return rejected('too many blocks') end
  local ends = 0
  if op.blocked and op.length > 0 then ends = now + op.length end
  entries[op.name] = {kind = op.kind, type = op.type, id = op.id, blocked = op.blocked, ['until'] = ends, why = op.why,
                      by = op.by, at = version}
  local made = copy(before)
  made.version, made.entries = version, entries
  write(op.key, made, now + FOREVER)
  return answer('found', now, {made})
end

local function beat()
  local made = copy(documents[op.key] or {version = 0, entries = {}})
  local before, since = made.beat or 0, made.since or now
  if op.void or op.known > before then
    since = math.max(now, since, op.known)
    made.lost = since
  end
  made.beat, made.since = math.max(now, before), since
  write(op.key, made, now + FOREVER)
  return answer('found', now, {made})
end

local function read_blocks()
  local document = documents[op.key]
  if document and document.version == op.version then
    document = copy(document)
    document.entries = {}
  end
  return answer('found', now, {document or false})
end

local OPERATIONS = {commit = commit, hold = hold, release = release, settle = settle, renew = renew, cancel = cancel, open_session = open_session,
                    read_session = read_session, label = label, read = read,
                    adjust = adjust, beat = beat, impose = impose, read_blocks = read_blocks}
local ticketing = tickets.operations[op.operation]
if ticketing then
  local document, reason = ticketing()
  if not document then return rejected(reason) end
  return answer('found', now, {document})
end
return OPERATIONS[op.operation]()
