import { access, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { AnnotationInput, AnnotationTool, ToolResult } from '../../../src/nodes/annotator/annotation-tool.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import {
  type AnnotationLoop,
  inputOf,
  startAnnotationLoop,
  startAnnotator,
  type TestAnnotator,
} from './annotator-fixture.js'

const PLACE = { x: 1, y: 1 }

/** Answers the letters of a user's events so far; `next` may do something else. */
type Notes = AnnotationTool<string[]> & {
  readonly inputs: AnnotationInput[]
  readonly gone: string[]
  next: ((input: AnnotationInput, signal: AbortSignal) => ToolResult | Promise<ToolResult>) | undefined
}

function takesNotes(): Notes {
  const tool: Notes = {
    inputs: [],
    gone: [],
    next: undefined,
    createHistory: () => [],
    async handleUserInput(input, history, { signal }) {
      tool.inputs.push(input)
      history.push(input.eventType)
      return (await tool.next?.(input, signal)) ?? { svg: history.join(' ') }
    },
    logout: (user) => tool.gone.push(user) > 0,
  }
  return tool
}

describe('an annotator node', function () {
  this.timeout(60_000)
  const folder = useTemporaryFolder()
  let at: AnnotationLoop
  let tool: Notes
  let annotator: TestAnnotator
  let isDown: boolean
  before(async () => {
    at = await startAnnotationLoop()
  })
  after(() => at.loop.remove())
  beforeEach(async () => {
    at.loop.clearFaults()
    tool = takesNotes()
    isDown = false
    const options = { heartbeatMs: 100, toolTimeoutMs: 5000 }
    annotator = await startAnnotator(at, tool, folder.path, options, () => isDown)
  })
  afterEach(() => annotator.stop())

  const statuses = () => at.loop.node(annotator.uuid)

  it('shows itself at the Loop with what it can do', () => {
    expect(statuses()).to.deep.include({ type: 'annotation_node', name: 'segmentation', state: 'online' })
    expect(statuses()?.status).to.deep.equal({
      id: annotator.uuid,
      name: 'segmentation',
      state: 'online',
      uptime: 0,
      errors: {},
      capabilities: ['segmentation'],
    })
  })

  it('hands a tool the image on disk and what the user did', async () => {
    const answer = await annotator.input(
      inputOf(at, 'key_down', { x: 7, y: 8 }, { key_down: 'a', epsilon: 2.5, is_shift_key_pressed: true, new_key: 1 }),
    )

    expect(answer).to.deep.equal({ success: true, error_msg: null, payload: 'key_down' })
    const [input] = tool.inputs
    expect(input).to.deep.include({ coordinate: { x: 7, y: 8 }, keyDown: 'a', keyUp: null, epsilon: 2.5 })
    expect(input).to.deep.include({ isShiftKeyPressed: true, category: at.category, path: [{ x: 7, y: 8 }] })
    expect(input?.imagePath).to.equal(`${folder.path}/zauberzeug/shapes/images/${at.images[0]?.id}.jpg`)
  })

  it('keeps a history for each user, until Escape or logout', async () => {
    await annotator.input(inputOf(at, 'left_mouse_down', PLACE), 'anna')
    await annotator.input(inputOf(at, 'left_mouse_down', PLACE), 'otto')
    const second = await annotator.input(inputOf(at, 'mouse_move', PLACE), 'anna')

    const escaped = await annotator.input(inputOf(at, 'key_up', PLACE, { key_up: 'Escape' }), 'anna')
    const afterEscape = await annotator.input(inputOf(at, 'mouse_move', PLACE), 'anna')
    const left = await annotator.logOut('otto')
    const afterLogout = await annotator.input(inputOf(at, 'mouse_move', PLACE), 'otto')

    expect(second.payload).to.equal('left_mouse_down mouse_move')
    expect(escaped).to.deep.equal({ success: true, error_msg: null, payload: '' })
    expect(afterEscape.payload).to.equal('mouse_move')
    expect(left).to.deep.equal({ success: true, error_msg: null, payload: null })
    expect(tool.gone).to.deep.equal(['otto'])
    expect(afterLogout.payload).to.equal('mouse_move')
  })

  it('answers what a tool throws, and forgets the user', async () => {
    await annotator.input(inputOf(at, 'left_mouse_down', PLACE))
    tool.next = () => {
      throw new Error('the brush is broken')
    }
    const broken = await annotator.input(inputOf(at, 'mouse_move', PLACE))
    tool.next = undefined
    const afterwards = await annotator.input(inputOf(at, 'left_mouse_up', PLACE))

    expect(broken).to.deep.equal({ success: false, error_msg: 'the brush is broken', payload: null })
    expect(afterwards.payload).to.equal('left_mouse_up')
  })

  it('refuses what is no result of a tool', async () => {
    tool.next = () => JSON.parse('{"svg": 7}')

    expect((await annotator.input(inputOf(at, 'mouse_move', PLACE))).error_msg).to.match(/svg must be a string, got 7/)
  })

  it('works on the inputs of a user in their order, and merges moves that wait', async () => {
    let go: () => void = () => undefined
    tool.next = () =>
      new Promise((resolve) => {
        go = () => resolve({ svg: 'first' })
      })
    const first = annotator.input(inputOf(at, 'left_mouse_down', PLACE))
    await until('the first input is worked on', () => tool.inputs.length === 1)
    const moves: Promise<unknown>[] = []
    for (const x of [10, 20, 30]) {
      moves.push(annotator.input(inputOf(at, 'mouse_move', { x, y: x })))
      await sleep(30) // the requests must not overtake each other
    }
    const last = annotator.input(inputOf(at, 'left_mouse_up', { x: 40, y: 40 }))
    await sleep(100)
    const other = await Promise.race([
      annotator.input(inputOf(at, 'key_up', PLACE, { key_up: 'Escape' }), 'otto'),
      sleep(5000),
    ])
    tool.next = undefined
    go()

    expect(other).to.include({ payload: '' })
    expect((await first).payload).to.equal('first')
    expect((await last).payload).to.equal('left_mouse_down mouse_move left_mouse_up')
    const answers = await Promise.all(moves)
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).to.have.lengthOf(1)
    expect(tool.inputs[1]).to.deep.include({
      coordinate: { x: 30, y: 30 },
      path: [10, 20, 30].map((x) => ({ x, y: x })),
    })
  })

  it('gives up what a user does not want any more, also its annotation', async () => {
    let seen: AbortSignal | undefined
    let go: () => void = () => undefined
    tool.next = (input, signal) => {
      seen = signal
      const annotation = {
        id: 'late',
        shape: { points: [PLACE, { x: 5, y: 1 }, { x: 5, y: 5 }] },
        image_id: input.imageId,
        category_id: at.category.id,
      }
      return new Promise((resolve) => {
        go = () => resolve({ svg: 'late', annotation })
      })
    }
    const slow = annotator.input(inputOf(at, 'left_mouse_up', PLACE))
    await until('the tool is at work', () => seen)

    const escaped = await annotator.input(inputOf(at, 'key_up', PLACE, { key_up: 'Escape' }))
    tool.next = undefined
    const next = await annotator.input(inputOf(at, 'left_mouse_down', PLACE))
    go()

    expect(escaped.payload).to.equal('')
    expect(await slow).to.deep.equal({ success: true, error_msg: null, payload: '' })
    expect(seen?.aborted).to.equal(true)
    expect(next.payload).to.equal('left_mouse_down')
    await annotator.input(inputOf(at, 'mouse_move', PLACE))
    expect((await at.annotations(at.images[0]?.id ?? '')).map(({ id }) => id)).not.to.include('late')
  })

  it('answers when a tool hangs', async () => {
    await annotator.stop()
    annotator = await startAnnotator(at, tool, folder.path, { toolTimeoutMs: 50 })
    tool.next = () => new Promise(() => undefined)

    expect((await annotator.input(inputOf(at, 'mouse_move', PLACE))).error_msg).to.match(/did not answer within 0.05 s/)
  })

  it('refuses inputs while its socket is down, without asking the tool', async () => {
    await annotator.input(inputOf(at, 'left_mouse_down', PLACE))

    isDown = true
    const refused = await annotator.input(inputOf(at, 'mouse_move', PLACE))
    const escaped = await annotator.input(inputOf(at, 'key_up', PLACE, { key_up: 'Escape' }))
    isDown = false
    const next = await annotator.input(inputOf(at, 'left_mouse_up', PLACE))

    for (const answer of [refused, escaped]) {
      expect(answer).to.include({ success: false, payload: null })
      expect(answer.error_msg).to.match(/no connection to the Loop just now; try again/)
    }
    expect(next.payload, 'what was drawn before goes on').to.equal('left_mouse_down left_mouse_up')
  })

  it('tells when the connection is lost while the tool works, and lives on', async () => {
    tool.next = async ({ imageId }) => {
      isDown = true
      const shape = { points: [PLACE, { x: 9, y: 1 }, { x: 9, y: 9 }] }
      return { svg: 'lost', annotation: { id: 'lost', shape, image_id: imageId, category_id: at.category.id } }
    }
    const lost = await annotator.input(inputOf(at, 'left_mouse_up', PLACE))
    isDown = false
    tool.next = undefined

    expect(lost.error_msg).to.match(/no connection to the Loop just now/)
    expect((await at.annotations(at.images[0]?.id ?? '')).map(({ id }) => id)).not.to.include('lost')
    expect(await annotator.input(inputOf(at, 'left_mouse_down', PLACE))).to.include({ success: true })
  })

  it('tells when the Loop does not take an annotation', async () => {
    tool.next = () => ({
      svg: 'x',
      annotation: { id: 'a', shape: { points: [] }, image_id: 'nowhere', category_id: 'c' },
    })

    expect((await annotator.input(inputOf(at, 'mouse_move', PLACE))).error_msg).to.match(/refused .*no image nowhere/)
  })

  const bad: readonly [string, unknown, RegExp][] = [
    ['a float for a coordinate', { coordinate: { x: 1.5, y: 2 } }, /coordinate\.x must be an integer, got 1\.5/],
    ['no coordinate', { coordinate: null }, /coordinate must be an object/],
    [
      'an unknown project',
      { context: { organization: 'zauberzeug', project: 'none' } },
      /of zauberzeug\/none cannot be had/,
    ],
    ['a project that leads elsewhere', { context: { organization: '..', project: '..' } }, /context\.organization/],
    ['an unknown image', { image_uuid: 'nowhere' }, /Image nowhere of .* cannot be had/],
    ['an image that leads elsewhere', { image_uuid: '../../secret' }, /secret/],
    ['no category', { category: 'blob' }, /category must be an object/],
    ['an event type that is no text', { event_type: 7 }, /event_type must be a string/],
  ]
  for (const [what, more, reason] of bad) {
    it(`answers an error for ${what}`, async () => {
      const answer = await annotator.input(inputOf(at, 'mouse_move', PLACE, Object(more)))

      expect(answer).to.include({ success: false, payload: null })
      expect(answer.error_msg).to.match(reason)
      expect(tool.inputs).to.have.lengthOf(0)
    })
  }

  it('answers an error for what is no input at all, and lives on', async () => {
    const path = `/api/local/nodes/${annotator.uuid}`
    for (const body of [[], 7, null, { frontend_id: 'anna' }, { data: {} }]) {
      expect((await at.loop.call('POST', `${path}/user-input`, body)).json.ack).to.include({ success: false })
    }

    expect(await annotator.input(inputOf(at, 'an_event_of_tomorrow', PLACE))).to.include({ success: true })
  })

  it('says in every cycle that it is there, and connects again when the Loop refuses that', async () => {
    const before = statuses()?.lastSeen ?? 0
    await until('another status has come', () => (statuses()?.lastSeen ?? 0) > before)
    const socketId = statuses()?.socketId

    at.loop.addFault({ match: { event: 'update_annotation_node' }, kind: 'status', times: 1 })

    await until('there is another connection', () => statuses()?.connected && statuses()?.socketId !== socketId)
  })

  it('says so once per connection in dialect 0.8', async () => {
    await annotator.stop()
    annotator = await startAnnotator(at, tool, folder.path, { dialect: '0.8', heartbeatMs: 20 })
    const seen = statuses()?.lastSeen
    await sleep(300)
    expect(statuses()?.lastSeen).to.equal(seen)

    at.loop.dropSockets()

    await until('it is there again', () => statuses()?.connected && statuses()?.lastSeen !== seen)
  })

  it('stays away while it is set offline', async () => {
    await annotator.node.setOnline(false)
    await until('the Loop sees it go', () => statuses()?.connected === false)
    await annotator.node.setOnline(true)
    await until('and come back', () => statuses()?.connected)

    expect(await annotator.input(inputOf(at, 'mouse_move', PLACE))).to.include({ success: true })
  })

  it('fetches an image again when its file has gone', async () => {
    const paths: string[] = []
    tool.next = async ({ imagePath }) => {
      paths.push(imagePath)
      await access(imagePath)
      return { svg: 'there' }
    }
    const first = await annotator.input(inputOf(at, 'mouse_move', PLACE))
    await rm(paths[0] ?? '')

    const gone = await annotator.input(inputOf(at, 'mouse_move', PLACE))
    const again = await annotator.input(inputOf(at, 'mouse_move', PLACE))

    expect([first.success, gone.success, again.success]).to.deep.equal([true, false, true])
  })

  it('fetches an image once, and answers when the Loop cannot give it', async () => {
    const image = at.images[3]
    const more = { image_uuid: image?.id }
    at.loop.addFault({ match: { path: `/api/zauberzeug/projects/shapes/images/${image?.id}/main` }, kind: 'status' })
    const broken = await annotator.input(inputOf(at, 'mouse_move', PLACE, more))
    at.loop.clearFaults()
    const whole = await annotator.input(inputOf(at, 'mouse_move', PLACE, more))
    at.loop.addFault({ match: { path: `/api/zauberzeug/projects/shapes/images/${image?.id}/main` }, kind: 'status' })
    const again = await annotator.input(inputOf(at, 'mouse_move', PLACE, more))

    expect(broken).to.include({ success: false })
    expect([whole.success, again.success]).to.deep.equal([true, true])
  })
})
