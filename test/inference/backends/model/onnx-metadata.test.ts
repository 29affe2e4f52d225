import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import protobuf from 'protobufjs/minimal.js'
import { readOnnxMetadata } from '../../../../src/inference/backends/model/onnx-metadata.js'
import { projectRoot } from '../../../helpers/project-root.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'
import { rejection } from '../../rejection.js'
import { withMetadata } from './with-metadata.js'

describe('the metadata of an ONNX model', () => {
  const folder = useTemporaryFolder()
  let model: Buffer
  before(async () => {
    model = await readFile(join(projectRoot(), 'test/fixtures/onnx/constant-yolov8.onnx'))
  })

  async function file(content: Uint8Array): Promise<string> {
    const path = join(folder.path, 'model.onnx')
    await writeFile(path, content)
    return path
  }

  it('are read as far as they say what the output means', async () => {
    const metadata = {
      author: 'Somebody',
      task: 'detect',
      names: "{0: 'cat'}",
      stride: '32',
      end2end: 'True',
      args: '{}',
    }

    const read = await readOnnxMetadata(await file(withMetadata(model, metadata)))

    expect(read).to.deep.equal({ task: 'detect', names: "{0: 'cat'}", end2end: 'True', args: '{}' })
  })

  it('are empty in a model without any, and in an empty file', async () => {
    expect(await readOnnxMetadata(await file(model))).to.deep.equal({})
    expect(await readOnnxMetadata(await file(Buffer.alloc(0)))).to.deep.equal({})
  })

  it('count as they are written last', async () => {
    const twice = withMetadata(withMetadata(model, { task: 'detect' }), { task: 'segment' })

    expect(await readOnnxMetadata(await file(twice))).to.deep.equal({ task: 'segment' })
  })

  it('stand before the graph as well as behind it', async () => {
    const before = Buffer.concat([withMetadata(Buffer.alloc(0), { task: 'detect' }), model])

    expect(await readOnnxMetadata(await file(before))).to.deep.equal({ task: 'detect' })
  })

  it('are found behind weights of gigabytes, which are not read', async () => {
    const path = await file(Buffer.alloc(0))
    const head = protobuf.Writer.create()
    const bytes = 3 * 2 ** 30
    head.uint32((7 << 3) | 2).uint64(bytes)
    const start = head.finish()
    const handle = await open(path, 'r+')
    await handle.write(start, 0, start.length, 0)
    await handle.truncate(start.length + bytes) // a hole, which takes no room
    const entry = withMetadata(Buffer.alloc(0), { task: 'detect' })
    await handle.write(entry, 0, entry.length, start.length + bytes)
    await handle.close()
    const before = process.memoryUsage().rss

    const metadata = await readOnnxMetadata(path)

    expect(metadata).to.deep.equal({ task: 'detect' })
    expect(process.memoryUsage().rss - before).to.be.below(100 * 2 ** 20)
    await truncate(path, 0)
  })

  it('are skipped without being read where they are of no use, whatever their size', async () => {
    const huge = withMetadata(model, { description: 'x'.repeat(50 * 2 ** 20), ['k'.repeat(5000)]: 'y', task: 'detect' })

    expect(await readOnnxMetadata(await file(huge))).to.deep.equal({ task: 'detect' })
  })

  it('are refused when one that is of use is larger than any list of names', async () => {
    const path = await file(withMetadata(model, { names: 'x'.repeat(2 * 2 ** 20) }))

    const error = await rejection(readOnnxMetadata(path))

    expect(error.code).to.equal('LF_MODEL_UNREADABLE')
    expect(error.message).to.include('its metadata "names" has 2097152 bytes')
  })

  it('are refused in a file that is no model, with the reason', async () => {
    const whole = withMetadata(model, { task: 'detect' })
    for (const content of [
      Buffer.from('<html>not found</html>'),
      whole.subarray(0, whole.length - 3),
      whole.subarray(0, 100),
      Buffer.alloc(64),
      Buffer.alloc(64, 0xff),
    ]) {
      const error = await rejection(readOnnxMetadata(await file(content)))
      expect(error.code).to.equal('LF_MODEL_UNREADABLE')
      expect(error.message).to.include('is no ONNX model: it')
    }
    const missing = await rejection(readOnnxMetadata(join(folder.path, 'nothing.onnx')))
    expect(missing.message).to.include('cannot be read: ENOENT')
  })
})
