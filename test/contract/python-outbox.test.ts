import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { execa } from 'execa'
import { imageMetadataSchema } from '../../src/loop/protocol/index.js'
import { useOutboxes } from '../detector/outbox/an-outbox.js'
import { PYTHON_BYTECODE } from '../helpers/python-environment.js'
import { preparedPython } from '../helpers/python-environments.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

const LIBRARY = 'learning_loop_node 0.27.0'
const SCRIPT = new URL('./python-nodes/small_outbox_newest.py', import.meta.url)

describe('the outbox of the Python library as published', () => {
  const folder = useTemporaryFolder()
  const { open, serve } = useOutboxes()

  it('is taken over as it lies there: every image is sent, with what the library wrote about it', async function () {
    this.timeout(300_000)
    const interpreter = await preparedPython(LIBRARY)
    const place = { LOOP_HOST: '127.0.0.1:9', LOOP_ORGANIZATION: 'acme', LOOP_PROJECT: 'demo' }
    const env = { ...PYTHON_BYTECODE, DATA_FOLDER: folder.path, ...place }
    await execa(interpreter, [fileURLToPath(SCRIPT)], { env, cwd: folder.path })
    const [left] = await readdir(join(folder.path, 'outbox/normal'))
    const loop = await serve()

    const outbox = await open({ folder: join(folder.path, 'outbox'), maxRequests: 1 }, loop.host)
    await until('all are sent', () => outbox.status().uploaded === 25)

    expect(left).to.match(/^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{6}$/)
    const sent = loop.taken.flat()
    expect(sent.map(({ bytes }) => bytes.toString())).to.deep.equal(
      [24, ...Array.from({ length: 24 }, (_, number) => number)].map((number) => `image ${number}`),
    )
    for (const { metadata } of sent) expect(imageMetadataSchema.parse(metadata).tags).to.deep.equal(['uncertain'])
    expect(outbox.status()).to.include({ setAside: 0, normal: 0, priority: 0 })
  })
})
