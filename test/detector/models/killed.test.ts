import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { type NodeScript, startNodeScript } from '../../helpers/node-script.js'
import { createRandom } from '../../helpers/random.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { times } from '../../helpers/thorough.js'
import { until } from '../../helpers/until.js'
import { type ModelLoop, startModelLoop } from './model-loop.js'

const KILLS = times(3, 100)
const SEED = 20261122
const VERSIONS = ['1.0', '1.1', '1.2', '1.3', '1.4']

describe('A detector that is killed while it changes its model', function () {
  this.timeout(60_000 + KILLS * 20_000)
  const folder = useTemporaryFolder()
  let loop: ModelLoop

  beforeEach(async () => {
    loop = await startModelLoop()
  })
  afterEach(async () => await loop.http.close())

  it('always starts again with a whole model, and leaves no half ones', async () => {
    for (const version of VERSIONS) await loop.offer(version, weights())
    const random = createRandom(SEED)
    const { data, said } = paths()
    const start = () => startDetector(VERSIONS, random)
    let hasServed = false
    for (let kill = 0; kill < KILLS; kill += 1) {
      await rm(said, { force: true })
      const detector = await start()
      try {
        const isEarly = hasServed && random() < 0.25
        if (!isEarly) {
          const { version, errors } = await until('it has started', () => wordsOf(said), 30_000)
          expect(errors, `after kill ${kill}`).to.deep.equal({})
          expect(version, `after kill ${kill}`).to.be.oneOf(hasServed ? VERSIONS : [null])
          if (!hasServed) await until('it serves', () => hasLink(data), 30_000)
          hasServed = true
        }
        await sleep(random() * (isEarly ? 30 : 300)) // the moment is the point of the test
        expect(detector.process.exitCode, 'it ended by itself').to.equal(null)
      } finally {
        await detector.kill('SIGKILL')
      }
    }

    const last = await start()
    await until('it has started', () => wordsOf(said), 30_000)
    await last.kill('SIGKILL')
    const names = (await readdir(join(data, 'models'))).filter((name) => name.startsWith('.incoming'))
    expect(names.length, 'half models of earlier lives').to.be.at.most(1)
  })

  it('by a model that ends it, serves the one before and tries that one less and less often', async () => {
    await loop.offer('1.0', weights())
    await loop.offer('6.6', { ...weights(), 'sha256.txt': 'deadly' })
    const { data, said } = paths()
    const random = createRandom(SEED)
    const good = await startDetector(['1.0'], random)
    await until('it serves', () => hasLink(data), 30_000)
    await good.kill('SIGKILL')

    for (let life = 0; life < 3; life += 1) {
      await rm(said, { force: true })
      const detector = await startDetector(['6.6'], random)
      await until('the model has ended it', () => detector.process.signalCode === 'SIGKILL', 30_000)
      expect(await wordsOf(said)).to.deep.equal({ version: '1.0', errors: {} })
      await detector.kill('SIGKILL')
    }

    const { deaths, loading } = JSON.parse(await readFile(join(data, 'models', '.loading.json'), 'utf8'))
    expect(deaths).to.deep.equal([{ target: { id: 'id-of-6.6', version: '6.6' }, count: 2 }])
    expect(loading).to.deep.equal({ id: 'id-of-6.6', version: '6.6' })
  })

  function paths(): { readonly data: string; readonly said: string } {
    return { data: join(folder.path, 'data'), said: join(folder.path, 'said.json') }
  }

  function startDetector(versions: readonly string[], random: () => number): Promise<NodeScript> {
    const script = new URL('../../fixtures/programs/changes-its-model', import.meta.url)
    const { data, said } = paths()
    return startNodeScript(script, [data, loop.http.host, said, String(random()), versions.join(',')])
  }
})

function weights(): Record<string, string | Uint8Array> {
  const bytes = randomBytes(1_500_000)
  const rest = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`labels/${index}.txt`, `label ${index}`]))
  return { 'weights.bin': bytes, 'sha256.txt': createHash('sha256').update(bytes).digest('hex'), ...rest }
}

async function wordsOf(said: string): Promise<{ version: string | null; errors: object } | undefined> {
  const text = await readFile(said, 'utf8').catch(() => '')
  return text.endsWith('}') ? JSON.parse(text) : undefined
}

async function hasLink(data: string): Promise<boolean> {
  return (await readdir(data).catch(() => [])).some((name) => name === 'current_model')
}
