-- What becomes of a request for approval, as `policyengine/state/approvals.py` says it: that file is the specification,
-- and this one is held to it by the same tests. It stands before `transaction.lua`, which calls it.

local function approvals(op, now, documents, write)
  local MAX_OPEN, MAX_MINE, KEPT = 1000, 100, 35 * 86400 * 1000000

  local function copy(document)
    local made = {}
    for k, v in pairs(document or {}) do made[k] = v end
    return made
  end

  local function has(list, value)
    for _, one in ipairs(list) do if one == value then return true end end
    return false
  end

  -- The list with one more.
  local function with(list, value)
    local made = {}
    for i, one in ipairs(list) do made[i] = one end
    made[#made + 1] = value
    return made
  end

  local function state_of(ticket)
    if ticket.state == 'pending' and ticket.expires <= now then return 'expired' end
    return ticket.state
  end

  local function ends(ticket) return math.max(ticket.expires, ticket['until'], ticket.decided) + KEPT end

  -- The ticket after one use, or nil and why it does not cover this request.
  local function consumed(asked, ticket)
    if not ticket or ticket.secret ~= asked.secret or ticket.tenant ~= asked.tenant then
      return nil, 'the approval cannot be verified'
    end
    if ticket.scope ~= asked.scope then return nil, 'the approval is for something else' end
    if ticket.state ~= 'approved' or ticket.revoked ~= 0 or ticket['until'] <= now or ticket.used >= ticket.uses
      or ticket.created < (asked.since or 0) then
      return nil, 'the approval is no longer valid'
    end
    local covered = true
    for _, rule in ipairs(asked.rules) do
      local found = false
      for _, need in ipairs(ticket.needs) do found = found or need.same == rule end
      covered = covered and found
    end
    if ticket.revision == asked.revision then
      if not covered then return nil, 'the approval is for something else' end
    elseif not (ticket.any_revision and covered) then
      return nil, 'the approval is no longer valid'
    end
    local made = copy(ticket)
    made.used = ticket.used + 1
    return made
  end

  -- An index with a line, without those that are over, and when the last of them will be.
  local function entered(index, name, ends_at)
    local lines, latest = {}, now
    for known, at in pairs(index and index.open or {}) do lines[known] = at end
    lines[name] = ends_at
    for known, at in pairs(lines) do
      if at <= now then lines[known] = nil elseif at > latest then latest = at end
    end
    return {open = lines}, latest
  end

  local function written(ticket)
    local line = 0
    if not ticket.told then line = ends(ticket)
    elseif ticket.state == 'pending' then line = ticket.expires end
    local index, latest = entered(documents[op.index], ticket.id, line)
    local before, whose = documents[op.index] and documents[op.index].whose or {}, {}
    for name in pairs(index.open) do whose[name] = before[name] end
    if index.open[ticket.id] then whose[ticket.id] = ticket.requester end
    index.whose = next(whose) and whose or nil
    write(op.key, ticket, ends(ticket))
    write(op.index, index, latest)
    return ticket
  end

  local function open_ticket()
    if op.once and documents[op.once] then return documents[op.once] end
    local spent = op.token and documents[op.token]
    if spent and spent['until'] > now then return nil, 'the denial was already submitted' end
    local index = documents[op.index] or {open = {}}
    local open, mine = 0, 0
    for name, at in pairs(index.open) do
      if at > now then
        open = open + 1
        if index.whose and index.whose[name] == op.ticket.requester then mine = mine + 1 end
      end
    end
    if open >= MAX_OPEN or mine >= MAX_MINE then return nil, 'too many requests for approval are pending' end
    local ticket = copy(op.ticket)
    ticket.state, ticket.created, ticket.expires = 'pending', now, now + op.life
    ticket.decided, ticket['until'], ticket.revoked, ticket.used, ticket.claimed = 0, 0, 0, 0, 0
    ticket.told = ticket.callback == ''
    if op.once then write(op.once, {body = op.body, ticket = ticket.id}, ends(ticket)) end
    if op.token then
      write(op.token, {ticket = ticket.id, ['until'] = now + op.token_life}, now + op.token_life)
    end
    return written(ticket)
  end

  local function decide_ticket()
    local ticket = documents[op.key]
    if not ticket then return nil, 'there is no such request for approval' end
    if state_of(ticket) ~= 'pending' then return nil, 'the request for approval is no longer pending' end
    if op.who == ticket.requester or has(ticket.agents, op.who) then
      return nil, 'nobody may approve their own request, nor may an agent that acts for them'
    end
    local mine, fresh, complete, within, needs = 0, 0, true, nil, {}
    for i, need in ipairs(ticket.needs) do
      needs[i] = need
      if has(op.rules, need.rule) then
        mine = mine + 1
        if not has(need.approvers, op.who) then
          fresh = fresh + 1
          needs[i] = copy(need)
          needs[i].approvers = with(need.approvers, op.who)
        end
      end
      complete = complete and #needs[i].approvers >= need.of
      within = within and math.min(within, need.within) or need.within
    end
    if mine == 0 then return nil, 'this approver may not approve this request' end
    local made = copy(ticket)
    made.log = with(ticket.log, {at = now, who = op.who, by = op.by, what = op.verdict, why = op.why})
    if op.verdict == 'reject' then
      made.state, made.decided = 'denied', now
      return written(made)
    end
    if fresh == 0 then return nil, 'this approver has already approved this request' end
    made.needs = needs
    if complete then made.state, made.decided, made['until'] = 'approved', now, now + within end
    return written(made)
  end

  local function close_ticket()
    local ticket = documents[op.key]
    if not ticket then return nil, 'there is no such request for approval' end
    if op.owner and op.owner ~= ticket.owner then
      return nil, 'only the requester or an operator may cancel it'
    end
    local state = state_of(ticket)
    if op.revoke and state ~= 'approved' then return nil, 'the request for approval is not approved' end
    if not op.revoke and state ~= 'pending' then return nil, 'the request for approval is no longer pending' end
    local made = copy(ticket)
    if op.revoke then made.revoked = now else made.state, made.decided = 'cancelled', now end
    local what = op.revoke and 'revoke' or 'cancel'
    made.log = with(ticket.log, {at = now, who = op.who, by = '', what = what, why = op.why})
    return written(made)
  end

  local function tell_ticket()
    local ticket = documents[op.key]
    if not ticket then return nil, 'there is no such request for approval' end
    if ticket.told or state_of(ticket) == 'pending' or (op.claim > 0 and ticket.claimed > now) then
      return nil, 'no callback is due'
    end
    local made = copy(ticket)
    if op.claim > 0 then made.claimed = now + op.claim else made.told = true end
    return written(made)
  end

  local function enter()
    local made, latest = entered(documents[op.key], op.name, now + op.life)
    write(op.key, made, latest)
    return made
  end

  local function keep()
    local kept = documents[op.key] or {text = op.text}
    write(op.key, kept, now + op.life)
    return kept
  end

  local operations = {open_ticket = open_ticket, decide_ticket = decide_ticket, close_ticket = close_ticket,
                      tell_ticket = tell_ticket, enter = enter, keep = keep}
  return {consumed = consumed, ends = ends, operations = operations}
end

