import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { z } from 'zod'
import { packageRoot } from '../cli/run-cli.js'
import { until } from '../helpers/until.js'
import { shellLines } from './command-lines.js'
import { GuideWalk } from './guide-walk.js'

const PAGE = 'docs/guides/converter.md'
const answerSchema = z.object({
  models: z.array(
    z.object({
      id: z.uuid(),
      version: z.string().regex(/^\d+\.0$/),
      formats: z.array(z.string()),
      created: z.iso.datetime(),
      comment: z.string().regex(/^uploaded at /),
    }),
  ),
})

describe('the guide to converters', function () {
  this.timeout(180_000)
  let walk: GuideWalk

  beforeEach(async () => {
    walk = await GuideWalk.start()
    walk.replace('$PWD', walk.folder)
    await walk.writeFilesOf(PAGE)
  })
  afterEach(() => walk.end())

  it('leads from an upload by curl to a model with both formats, word for word', async () => {
    const lines = (await shellLines(PAGE)).map(({ line }) => line)
    const wayThere = lines.slice(0, lines.indexOf('loopfleet conversions') + 1)
    expect(wayThere.filter((line) => line.startsWith('curl'))).to.have.lengthOf(4)
    const [upload, ofA, ofB] = wayThere.filter((line) => line.startsWith('curl'))

    const said = new Map<string, string>()
    for (const line of wayThere) {
      const { output, facts } = await walk.type(line.replace('--port 8000', '--port 0'))
      if (typeof facts.host === 'string' && line.startsWith('loopfleet loop'))
        walk.replace('127.0.0.1:8000', facts.host)
      if (!said.has(line)) said.set(line, output)
      if (line === ofB && said.has('loopfleet converter converter.yaml')) {
        said.set('afterwards', await untilThere(line))
      }
      if (line.startsWith('loopfleet converter')) said.set(line, output)
    }

    const uploaded = z.object({ id: z.uuid() }).parse(json(said.get(upload ?? '')))
    const before = answerSchema.parse(json(said.get(ofA ?? '')))
    const after = answerSchema.parse(json(said.get('afterwards')))
    expect(before.models.map(({ id, formats }) => ({ id, formats }))).to.deep.equal([
      { id: uploaded.id, formats: ['format_a'] },
    ])
    expect(json(said.get(ofB ?? ''))).to.deep.equal({ models: [] })
    expect(after.models).to.deep.equal(before.models.map((model) => ({ ...model, formats: ['format_a', 'format_b'] })))
    expect((await walk.type('loopfleet conversions')).output).to.contain('converted')
  })

  it('shows a plug-in that converts', async () => {
    const { facts: loop } = await walk.type('loopfleet loop --port 0')
    const { facts: redis } = await walk.type('loopfleet redis')
    await walk.type(`export LOOP_HOST=${String(loop.host)} REDIS_URL=${String(redis.url)}`)
    await walk.type('python3 -c \'print("what was learned", file=open("model.b", "w"))\'')
    await walk.type('python3 -m zipfile -c my_model.zip model.b')
    await walk.type(
      `curl --request POST -F 'files=@my_model.zip' http://${String(loop.host)}/api/zauberzeug/projects/demo/format_b`,
    )

    const text = await readFile(join(packageRoot, PAGE), 'utf8')
    const command = /`(loopfleet converter \S+\.mjs)`/.exec(text)?.[1] ?? ''
    await walk.type(command.replace('half.mjs', 'plugin/half.mjs'))

    const url = `http://${String(loop.host)}/api/zauberzeug/projects/demo/models?format=format_half`
    await until(
      'the model has the format',
      async () => (await walk.type(`curl -s '${url}'`)).output.includes('half'),
      60_000,
    )
  })

  async function untilThere(line: string): Promise<string> {
    return until(
      'the model has the other format',
      async () => {
        const { output } = await walk.type(line)
        return output.includes('format_b') ? output : undefined
      },
      60_000,
    )
  }
})

/** The JSON that curl printed, among its own lines. */
function json(output: string | undefined): unknown {
  return JSON.parse(/\{.*\}/.exec(output ?? '')?.[0] ?? 'null')
}
