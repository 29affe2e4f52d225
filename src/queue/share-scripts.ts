import { Redis } from 'ioredis'

type Definition = Parameters<Redis['defineCommand']>[1]

const texts = new Map<string, string>()
// Between a connection and its class: here ioredis puts what a script needs, and every connection finds it.
const shared: Redis = Object.create(Redis.prototype, {
  options: { value: {} },
  scriptsSet: { value: {} },
  defineCommand: { value: define },
})

/**
 * Lets a connection share its scripts with all others of this process. BullMQ defines its sixty scripts on each of its
 * connections, and a node has one for every seat: a hundred kilobytes each time, which are the same.
 */
export function shareScripts(client: Redis): void {
  client.scriptsSet = shared.scriptsSet
  Object.setPrototypeOf(client, shared)
}

// Names carry the version of BullMQ, so that one name is one script.
function define(name: string, definition: Definition): void {
  if (texts.has(name)) {
    if (texts.get(name) !== definition.lua) throw new Error(`There is another script "${name}" already.`)
    return
  }
  texts.set(name, definition.lua)
  Redis.prototype.defineCommand.call(shared, name, definition)
}
