-- How documents are written: MessagePack, but for meters and leases as `commit.lua` writes them, which are read and
-- changed without being taken apart. It stands before `transaction.lua`.
--
--   S  a sliding meter: now, sum, oldest bucket, newest bucket, its amount, blocked, what it is of; the other buckets
--   C  a calendar meter: now, start, end, used, blocked, what it is of
--   L  an open lease: expires, kept, for each charge where it was counted; what else it keeps
--
-- Numbers are doubles. A bucket of -1 is none. Whatever has other members is MessagePack.

local function opened(text)
  local kind = text:byte(1)
  if kind == 83 then
    local now, _, _, last, newest, blocked, meta, pos = struct.unpack('>ddddddHc0', text, 2)
    local told, buckets = cmsgpack.unpack(meta), {}
    while pos <= #text do
      local index, amount
      index, amount, pos = struct.unpack('>dd', text, pos)
      buckets[#buckets + 1] = {index, amount}
    end
    if last >= 0 then buckets[#buckets + 1] = {last, newest} end
    return {now = now, buckets = buckets, rule = told[1], by = told[2], ceiling = told[3], width = told[4],
            blocked = blocked > 0 and blocked or nil}
  elseif kind == 67 then
    local now, start, finish, used, blocked, meta = struct.unpack('>dddddHc0', text, 2)
    local told = cmsgpack.unpack(meta)
    return {now = now, start = start, ['end'] = finish, used = used, rule = told[1], by = told[2],
            ceiling = told[3], blocked = blocked > 0 and blocked or nil}
  elseif kind == 76 then
    local expires, kept, count, pos = struct.unpack('>ddB', text, 2)
    local places = {}
    for i = 1, count do places[i], pos = struct.unpack('>d', text, pos) end
    local lease = cmsgpack.unpack(text:sub(pos))
    lease.state, lease.expires, lease.kept = 'open', expires, kept
    for i, one in ipairs(lease.charges) do
      one.at, one.counted, one.spent = places[i], one.reserved, 0
    end
    return lease
  end
  return cmsgpack.unpack(text)
end

local METER = {now = true, buckets = true, start = true, ['end'] = true, used = true, rule = true, by = true, ceiling = true, width = true,
               blocked = true}

local function formed(document)
  for name in pairs(document) do
    if not METER[name] then return cmsgpack.pack(document) end
  end
  local meta = cmsgpack.pack({document.rule, document.by, document.ceiling, document.width})
  if document.buckets and not document.start then
    local sum, body, last, newest = 0, {}, -1, 0
    for i, bucket in ipairs(document.buckets) do
      sum = sum + bucket[2]
      if i < #document.buckets then body[i] = struct.pack('>dd', bucket[1], bucket[2])
      else last, newest = bucket[1], bucket[2] end
    end
    local first = #document.buckets > 0 and document.buckets[1][1] or -1
    return 'S' .. struct.pack('>ddddddHc0', document.now, sum, first, last, newest, document.blocked or 0, #meta, meta)
      .. table.concat(body)
  elseif document.start and not document.buckets then
    return 'C' .. struct.pack('>dddddHc0', document.now, document.start, document['end'], document.used,
                              document.blocked or 0, #meta, meta)
  end
  return cmsgpack.pack(document)
end

