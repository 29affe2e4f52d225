import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { projectRoot } from '../helpers/project-root.js'

/** Which keys of BullMQ a file reads itself, and with what; everything else goes through BullMQ's own classes. */
const READERS: Readonly<Record<string, readonly string[]>> = {
  'queue/jobs/run-job.ts': ['EXISTS', 'HGET', 'ZSCORE'],
  'queue/jobs/job-events.ts': ['XREVRANGE'],
}

/** The key of a queue is built of its name, that of a job of its id besides: `${link.prefix}:${queue}:${id}`. */
const KEY_OF_A_QUEUE = /prefix\}:\$\{(\w+\.)*(queue|name|queueName)\b/
/** Or with what BullMQ keeps under it, such as a lock. */
const PART_OF_A_QUEUE = /[:}](active|completed|delayed|failed|lock|paused|prioritized|stalled|stalled-check|wait)[`'"]/
/** What builds a key in BullMQ, and its inner files. */
const TO_KEY = /\.toKey\(|\bbullmq\/dist\b/

const COMMANDS = /redis\.call\('(\w+)'|\bclient\.(\w+)\(/g

function usesKeysOfBullMq(text: string): boolean {
  return [KEY_OF_A_QUEUE, PART_OF_A_QUEUE, TO_KEY].some((pattern) => pattern.test(text))
}

function commandsOf(text: string): readonly string[] {
  const found = [...text.matchAll(COMMANDS)].map(([, inScript, called]) => (inScript ?? called ?? '').toUpperCase())
  return [...new Set(found)].sort()
}

describe('The keys of BullMQ', () => {
  const folder = join(projectRoot(), 'src')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const users = files.filter((file) => usesKeysOfBullMq(readFileSync(join(folder, file), 'utf8')))

  it('are used by two files only', () => {
    expect(files).to.have.length.above(400)
    expect([...users].sort()).to.deep.equal(Object.keys(READERS).sort())
  })

  for (const [file, commands] of Object.entries(READERS))
    it(`are only read by ${file}`, () => {
      expect(commandsOf(readFileSync(join(folder, file), 'utf8'))).to.deep.equal(commands)
    })

  for (const line of [
    'await link.client.del(`$' + '{link.prefix}:$' + '{queue}:$' + '{id}:lock`)',
    'const key = `$' + '{link.prefix}:$' + '{job.queue}:$' + '{job.id}`',
    'const base = `$' + '{link.prefix}:$' + '{name}:`',
    'const keys = [`$' + '{base}stalled`, `$' + '{base}active`]',
    "await client.lrem(queue.toKey('active'), 1, id)",
  ])
    it(`would not pass with ${line}`, () => {
      expect(usesKeysOfBullMq(`  ${line}`)).to.equal(true)
    })

  for (const line of ['const draining = `$' + '{link.prefix}:draining`', "state === 'failed'", "on('completed', tell)"])
    it(`pass with ${line}`, () => {
      expect(usesKeysOfBullMq(line)).to.equal(false)
    })
})
