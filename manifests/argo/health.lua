-- Argo CD's health of a CheckpointStore, from its conditions alone.
-- A change in progress on a serving store is Progressing, never Degraded: applications are not affected.

local function health(status, message)
  return { status = status, message = message or "" }
end

local function condition(name)
  for _, item in ipairs(obj.status.conditions) do
    if item.type == name then
      return item
    end
  end
  return { status = "Unknown", reason = "", message = "" }
end

if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "Waiting for the operator to see the store")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to see the latest change")
end

local reconciling = condition("Reconciling")
if reconciling.reason == "Paused" then
  return health("Suspended", "Paused: nothing is changed until the annotation checkpointstore.dev/paused is removed")
end

local stalled = condition("Stalled")
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end

local ready = condition("Ready")
if ready.reason == "Hibernated" then
  return health("Suspended", ready.message)
end

if reconciling.status == "True" then
  return health("Progressing", reconciling.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if ready.status == "False" then
  return health("Degraded", ready.message)
end
return health("Progressing", "Waiting for the operator to report whether the store serves")
