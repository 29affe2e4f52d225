import { join } from 'node:path'
import { expect } from 'chai'
import { NOTHING_TO_DO } from '../../src/mock/nodes/annotation-tool.js'
import { packageRoot } from '../cli/run-cli.js'
import { type CliProcess, runCli, startCli } from '../helpers/cli-process.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { type AnnotationLoop, inputOf, type Point, startAnnotationLoop } from '../nodes/annotator/annotator-fixture.js'

describe('loopfleet annotator', function () {
  this.timeout(90_000)
  const folder = useTemporaryFolder()
  let at: AnnotationLoop
  let annotator: CliProcess | undefined
  before(async () => {
    at = await startAnnotationLoop()
  })
  after(() => at.loop.remove())
  afterEach(async () => {
    await annotator?.end()
    annotator = undefined
  })

  const options = (args: readonly string[]) => ({
    args: ['annotator', '--data', folder.path, ...args] as const,
    env: { PATH: process.env.PATH ?? '', LOOP_HOST: at.loop.host },
    logFile: join(folder.path, 'annotator.log'),
  })
  const start = async (args: readonly string[]) => {
    const started = await startCli(options(args))
    annotator = started
    await until('the Loop sees it', () => at.loop.node(String(started.facts.uuid))?.connected)
    return async (eventType: string, place: Point) => {
      const body = { frontend_id: 'anna', data: inputOf(at, eventType, place) }
      return (await at.loop.call('POST', `/api/local/nodes/${started.facts.uuid}/user-input`, body)).json.ack
    }
  }

  it('runs the example tool, keeps its identity, and ends when asked', async () => {
    const tool = join(packageRoot, 'examples/annotation-tools/ellipse.mjs')
    const say = await start(['--tool', tool, '--name', 'ellipse'])
    await say('left_mouse_down', { x: 100, y: 100 })
    const moved = await say('mouse_move', { x: 180, y: 150 })
    const released = await say('left_mouse_up', { x: 200, y: 160 })

    expect(moved.payload).to.match(/^<polygon points="180,125 /)
    expect(released).to.include({ success: true })
    const [annotation] = await at.annotations(at.images[0]?.id ?? '')
    expect(annotation?.shape.points).to.have.lengthOf(36)
    expect(annotation?.shape.points[0]).to.deep.equal({ x: 200, y: 130 })

    const { uuid } = annotator?.facts ?? {}
    expect(await annotator?.end()).to.include({ exitCode: 0 })
    await start(['--tool', tool, '--name', 'ellipse'])
    expect(annotator?.facts.uuid).to.equal(uuid)
  })

  it('runs the mock tool as the protocol describes it', async () => {
    const say = await start(['--tool', join(packageRoot, 'dist/src/mock/nodes/annotation-tool.js')])

    expect((await say('mouse_move', { x: 1, y: 1 })).payload).to.equal(NOTHING_TO_DO)
    expect((await say('left_mouse_down', { x: 10, y: 20 })).payload).to.match(/^<rect x="10" y="20" width="0".*blue/)
    expect((await say('mouse_move', { x: 5, y: 40 })).payload).to.match(/^<rect x="5" y="20" width="5" height="20"/)
    expect((await say('left_mouse_up', { x: 5, y: 40 })).payload).to.equal('')
    expect((await say('right_mouse_up', { x: 5, y: 40 })).payload).to.equal(NOTHING_TO_DO)
  })

  it('ends when the Loop asks it to restart', async () => {
    await start([])

    await at.loop.call('POST', `/api/local/nodes/${annotator?.facts.uuid}/restart`)

    expect(await annotator?.exited).to.include({ exitCode: 0 })
  })

  it('ends with a sentence when the file is no tool', async () => {
    const missing = await runCli(options(['--tool', '/nowhere/tool.mjs']))
    const noTool = await runCli(options(['--tool', join(packageRoot, 'dist/src/base/errors.js')]))

    expect(missing.exitCode).to.equal(2)
    expect(missing.output).to.match(/\/nowhere\/tool\.mjs cannot be loaded: .*\[LF_ANNOTATION_TOOL\]/)
    expect(noTool.output).to.match(/exports no function createTool.*\[LF_ANNOTATION_TOOL\]/)
  })
})
