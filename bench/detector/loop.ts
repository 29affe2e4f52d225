import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { z } from 'zod'
import { projectRoot } from '../../test/helpers/project-root.js'
import { startLoopOn } from '../parts/loop-process.js'
import { drawImages } from '../parts/stub-process.js'

/** A local Loop whose deployment target has a `mocked` and an `onnx` model, and one image of it. */
export type DetectorLoop = {
  readonly host: string
  readonly organization: string
  readonly project: string
  /** The path of a JPEG of 640×480 pixels, about 60 KB, and its bytes. */
  readonly imageFile: string
  readonly image: Uint8Array<ArrayBuffer>
  /** The ONNX model: 320×320, four categories, random weights. */
  readonly modelFile: string
  end(): Promise<void>
}

const modelsSchema = z.object({ models: z.array(z.object({ id: z.string(), version: z.string() })) })

export async function startDetectorLoop(folder: string, seed: number): Promise<DetectorLoop> {
  const [imageFile = ''] = await drawImages(join(folder, 'images'), 1, seed)
  const modelFile = join(folder, 'model.onnx')
  const python = join(projectRoot(), 'examples/shapes-trainer/.venv/bin/python')
  await execa(python, [join(projectRoot(), 'bench/python/small_model.py'), modelFile])
  const loop = await startLoopOn(join(folder, 'loop'))
  const [organization, project] = ['zauberzeug', 'demo']
  const api = `http://${loop.host}/api/${organization}/projects/${project}`
  const { models } = modelsSchema.parse(await (await fetch(`${api}/models?format=mocked`)).json())
  const target = models.find(({ version }) => version === '1.1')
  if (target === undefined) throw new Error('The local Loop has no model 1.1.')
  await addFormat(`${api}/models/${target.id}/onnx/file`, modelFile)
  return {
    ...{ host: loop.host, organization, project, imageFile, modelFile },
    image: new Uint8Array(await readFile(imageFile)),
    end: () => loop.end(),
  }
}

async function addFormat(url: string, modelFile: string): Promise<void> {
  const body = new FormData()
  body.append('files', new Blob([await readFile(modelFile)]), 'model.onnx')
  body.append('files', new Blob(['{"resolution":320}']), 'model.json')
  const answer = await fetch(url, { method: 'PUT', body })
  if (!answer.ok) throw new Error(`The local Loop refused the ONNX model: ${answer.status} ${await answer.text()}`)
}
