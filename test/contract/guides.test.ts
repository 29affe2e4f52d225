import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { parse, stringify } from 'yaml'
import { packageRoot } from '../cli/run-cli.js'
import { until } from '../helpers/until.js'
import { shellLines } from './command-lines.js'
import { GuideWalk, type Replacement } from './guide-walk.js'

const ORDER = '/api/local/zauberzeug/shapes/trainings'
/** Free ports instead of those of the page; a refused request must not pass for a good one. */
const ANY_PORT: readonly Replacement[] = [
  ['loopfleet loop --port 8000', 'loopfleet loop --port 0'],
  ['loopfleet up ', 'loopfleet up --port 0 --gpus none '],
  ['curl ', 'curl -sS --fail-with-body '],
]
/** Set-up of a checkout, which these tests run in. */
const NOT_HERE = ['npm run setup && npm link']

type Training = { readonly outcome: string | null; readonly models: readonly unknown[]; readonly errors: object }

describe('somebody who follows a guide', function () {
  this.timeout(240_000)
  let walk: GuideWalk
  let loopUrl: string

  afterEach(async () => walk?.end())

  async function follow(page: string, replacements: readonly Replacement[] = []): Promise<string[]> {
    const typed: string[] = []
    for (const { line } of await shellLines(page)) {
      if (NOT_HERE.includes(line)) continue
      const type = () => walk.type(replacements.reduce((text, [shown, real]) => text.replace(shown, real), line))
      const { facts } = line.includes(ORDER) ? await whenTrainerIsThere(type) : await type()
      typed.push(line)
      if (line.startsWith('loopfleet loop')) {
        loopUrl = String(facts.url)
        walk.replace('127.0.0.1:8000', new URL(loopUrl).host)
      }
      if (facts.redis !== undefined) walk.replace('unix:///tmp/redis.sock', String(facts.redis))
    }
    return typed
  }

  /** The page's reader sees the trainer appear on the Loop's page before he orders. */
  function whenTrainerIsThere<T>(order: () => Promise<T>): Promise<T> {
    return until('the order is taken', () => order().catch(() => undefined), 30_000)
  }

  async function trained(): Promise<Training> {
    return until(
      'the training has ended',
      async () => {
        const answer = await fetch(`${loopUrl}/api/local/trainings`)
        const { trainings } = (await answer.json()) as { trainings: Training[] }
        return trainings.find((training) => training.outcome !== null)
      },
      200_000,
    )
  }

  it('first-training.md: goes from nothing to a trained model', async () => {
    walk = await GuideWalk.start(ANY_PORT)

    const short: readonly Replacement[] = [
      ["-d '{}'", `-d '{"hyperparameters": {"short": true}}'`], // seconds instead of minutes
      ['"complete": 240, "inbox": 40', '"complete": 24, "inbox": 4'],
    ]
    const typed = await follow('docs/guides/first-training.md', short)

    expect(typed.length).to.be.at.least(9)
    expect(await trained()).to.deep.include({ outcome: 'completed', errors: {} })
  })

  for (const [what, trainer] of [
    ['a program', 'program/trainer.yaml'],
    ['a plug-in', 'plugin/my-trainer.js'],
  ] as const) {
    it(`your-own-trainer.md: has trained by ${what} of that page`, async () => {
      walk = await GuideWalk.start([...ANY_PORT, ['plugin/my-trainer.js', trainer]])
      await walk.writeFilesOf('docs/guides/your-own-trainer.md')

      await follow('docs/guides/your-own-trainer.md')

      const { outcome, models, errors } = await trained()
      expect({ outcome, errors }).to.deep.equal({ outcome: 'completed', errors: {} })
      expect(models).to.have.lengthOf(1)
    })
  }

  it('existing-script.md: has trained by the trainer file that the page puts together', async () => {
    walk = await GuideWalk.start(ANY_PORT)
    const scripts = fileURLToPath(new URL('../fixtures/guides/existing-script', import.meta.url))
    await cp(scripts, walk.folder, { recursive: true })
    await walk.write('settings.yaml', 'lr0: 0.01\n')
    await walk.write('trainer.yaml', await trainerOf('docs/guides/existing-script.md'))

    await follow('docs/guides/existing-script.md')

    expect(await trained()).to.deep.include({ outcome: 'completed', errors: {} })
  })

  it('moving-from-the-python-library.md: is the same node at the Loop as before', async () => {
    const uuid = '7a2b9f5e-0c51-4a55-9a3e-1c2f5e0d7b11'
    walk = await GuideWalk.start(ANY_PORT)
    await cp(fileURLToPath(new URL('../fixtures/trainers/quick', import.meta.url)), walk.folder, { recursive: true })
    await mkdir(join(walk.folder, 'old-data'))
    await writeFile(join(walk.folder, 'old-data/uuids.json'), JSON.stringify({ quick: uuid }))

    await follow('docs/guides/moving-from-the-python-library.md')

    const { nodes } = (await (await fetch(`${loopUrl}/api/local/nodes`)).json()) as { nodes: { id: string }[] }
    expect(nodes.map((node) => node.id)).to.deep.equal([uuid])
    expect(await readFile(join(walk.folder, 'data/uuids.json'), 'utf8')).to.equal(JSON.stringify({ quick: uuid }))
  })
})

/** The YAML blocks of a page put together, as a reader does who follows it step by step. */
async function trainerOf(page: string): Promise<string> {
  const text = await readFile(join(packageRoot, page), 'utf8')
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => Object(parse(match[1] ?? '')))
  return stringify({ ...Object.assign({}, ...blocks), train: Object.assign({}, ...blocks.map((block) => block.train)) })
}
