import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { createRandom } from '../../../src/mock/loop/generator/random.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { type ModelLoop, startModelLoop } from './model-loop.js'

const KILLS = Number(process.env.LOOPFLEET_TEST_KILLS ?? 8)
const SEED = 'detector-2026'
const VERSIONS = ['1.0', '1.1', '1.2', '1.3', '1.4']

describe('A detector that is killed while it changes its model', function () {
  this.timeout(60_000 + KILLS * 20_000)
  const folder = useTemporaryFolder()
  let loop: ModelLoop

  beforeEach(async () => {
    loop = await startModelLoop()
    for (const version of VERSIONS) await loop.offer(version, weights())
  })
  afterEach(async () => await loop.http.close())

  it('always starts again with a whole model, and leaves no half ones', async () => {
    const random = createRandom(SEED)
    const data = join(folder.path, 'data')
    const said = join(folder.path, 'said.json')
    const start = () =>
      startNodeScript(new URL('../../fixtures/programs/changes-its-model', import.meta.url), [
        data,
        loop.http.host,
        said,
        String(random.next()),
        VERSIONS.join(','),
      ])
    let hasServed = false
    for (let kill = 0; kill < KILLS; kill += 1) {
      await rm(said, { force: true })
      const detector = await start()
      try {
        const isEarly = hasServed && random.next() < 0.25
        if (!isEarly) {
          const { version, errors } = await until('it has started', () => wordsOf(said), 30_000)
          expect(errors, `after kill ${kill}`).to.deep.equal({})
          expect(version, `after kill ${kill}`).to.be.oneOf(hasServed ? VERSIONS : [null])
          if (!hasServed) await until('it serves', () => hasLink(data), 30_000)
          hasServed = true
        }
        await sleep(random.range(0, isEarly ? 30 : 300)) // the moment is the point of the test
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
  return (await readdir(data)).includes('current_model')
}
