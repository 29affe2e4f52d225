import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { times } from '../../helpers/thorough.js'
import { until } from '../../helpers/until.js'
import { NOBODY, useOutboxes } from './an-outbox.js'

const KILLS = times(6, 100)
const SEED = 7

describe('an outbox under kill -9', () => {
  const folder = useTemporaryFolder()
  const { open, serve } = useOutboxes()

  it(`has every image it has answered for, whole, after ${KILLS} kills while saving`, async function () {
    this.timeout(60_000 + KILLS * 20_000)
    const random = createRandom(SEED)
    const answered = new Map<string, string>()

    for (let kill = 0; kill < KILLS; kill += 1) {
      const saver = await startSaver(folder.path, NOBODY, 'stopped')
      if (random() < 0.7) await until('it has answered', () => saver.hasAnswered(), 30_000)
      await sleep(random() * 120)
      for (const [ident, name] of await saver.kill()) answered.set(ident, name)
    }

    expect(answered.size).to.be.greaterThan(KILLS / 2)
    const stored = await readAll(folder.path)
    for (const [ident, name] of answered) expect(stored.get(ident), ident).to.equal(name)
    // What was not answered may be there too, but then whole: readAll has looked at each.
    expect(stored.size).to.be.at.most(answered.size + KILLS * 3)
  })

  it('loses nothing under kills while uploading, and repeats only what was not confirmed', async function () {
    this.timeout(60_000 + KILLS * 20_000)
    const random = createRandom(SEED + 1)
    const loop = await serve()
    const answered = new Map<string, string>()
    const confirmed = new Map<string, number>()
    const timesTaken = (name: string) => loop.taken.flat().filter(({ metadata }) => metadata.name === name).length

    for (let kill = 0; kill < KILLS / 2; kill += 1) {
      const saver = await startSaver(folder.path, loop.host, 'continuous_upload')
      const requests = loop.taken.length
      if (random() < 0.7) await until('it has sent', () => loop.taken.length > requests + 1, 30_000)
      await sleep(random() * 200)
      for (const [ident, name] of await saver.kill()) answered.set(ident, name)
      const onDisk = await readAll(folder.path)
      for (const [ident, name] of answered) {
        if (!onDisk.has(ident) && !confirmed.has(name)) confirmed.set(name, timesTaken(name))
      }
    }
    const last = await open({ folder: folder.path }, loop.host)
    await until('all are sent', () => last.status().normal + last.status().priority === 0, 60_000)

    const counts = new Map<unknown, number>()
    for (const { metadata, bytes } of loop.taken.flat()) {
      counts.set(metadata.name, (counts.get(metadata.name) ?? 0) + 1)
      expect(
        bytes
          .subarray(0, 60_000)
          .toString()
          .startsWith(`${String(metadata.name)};`),
      ).to.equal(true)
    }
    expect([...answered.values()].filter((name) => !counts.has(name))).to.deep.equal([])
    expect(confirmed.size).to.be.greaterThan(0)
    for (const [name, times] of confirmed) expect(counts.get(name), 'once confirmed, not sent again').to.equal(times)
    const repeated = [...counts.values()].reduce((sum, count) => sum + count - 1, 0)
    expect(repeated, 'at most the requests under way at each kill').to.be.at.most((KILLS / 2) * 4 * 20)
    expect(last.status().setAside).to.equal(0)
    // What is sent is out of the count before its files are removed.
    await until('nothing is left', async () => (await readdir(join(folder.path, 'tmp'))).length === 0, 10_000)
  })
})

type Saver = {
  hasAnswered(): boolean
  /** Kills it; the answer is what it had answered for. */
  kill(): Promise<Map<string, string>>
}

async function startSaver(folder: string, host: string, mode: string): Promise<Saver> {
  const script = fileURLToPath(new URL('../../fixtures/programs/saves-images.js', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [script, folder, host, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })
  await until('it is ready', () => output.includes('ready\n'), 30_000)
  return {
    hasAnswered: () => output.includes('}\n'),
    async kill() {
      child.kill('SIGKILL')
      await ended
      const lines = output.split('\n').slice(1, -1) // a line without its end says nothing
      return new Map(
        lines.map((line) => {
          const { ident, name } = JSON.parse(line)
          return [ident, name]
        }),
      )
    },
  }
}

/** Names of all entries by ident; fails at anything torn. */
async function readAll(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const row of ['normal', 'priority']) {
    for (const ident of await readdir(join(folder, row))) {
      const path = (ending: string) => join(folder, row, ident, `image_${ident}.${ending}`)
      const { name } = JSON.parse(await readFile(path('json'), 'utf8'))
      expect(await readFile(path('jpg')), ident).to.deep.equal(Buffer.alloc(30_000, `${name};`))
      expect(found.has(ident), ident).to.equal(false)
      found.set(ident, name)
    }
  }
  return found
}

function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}
