import { expect } from 'chai'
import { loadOnnxRuntime } from '../../../src/inference/backends/onnx-runtime.js'
import { rejection } from '../rejection.js'

/** Imports what the test says is installed; all else is absent, as Node reports it. */
function installed(modules: Readonly<Record<string, unknown>>) {
  return async (specifier: string): Promise<unknown> => {
    const name = specifier.startsWith('file:') ? new URL(specifier).pathname : specifier
    const found = Object.entries(modules).find(([key]) => name.includes(key))?.[1]
    if (found instanceof Error) throw found
    if (found !== undefined) return found
    const message = `Cannot find ${specifier === name ? 'package' : 'module'} '${name}' imported from somewhere`
    throw Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' })
  }
}
const runtime = (version: string) => ({ default: { InferenceSession: {}, version } })

describe('ONNX Runtime', () => {
  it("is the installation's own onnxruntime-node, even where the package carries one", async () => {
    const importModule = installed({ vendor: runtime('carried'), 'onnxruntime-node': runtime('own') })

    expect(await loadOnnxRuntime({ importModule, platform: 'linux' })).to.include({ version: 'own' })
  })

  it('is the one that the package carries for Linux where none is installed', async () => {
    const importModule = installed({ 'vendor/onnxruntime-node': runtime('carried') })

    expect(await loadOnnxRuntime({ importModule, platform: 'linux' })).to.include({ version: 'carried' })
  })

  it('is not replaced by the carried one when the installed one is broken', async () => {
    const broken = new Error('libonnxruntime.so.1: cannot open shared object file')
    const importModule = installed({ vendor: runtime('carried'), 'onnxruntime-node': broken })

    const error = await rejection(loadOnnxRuntime({ importModule, platform: 'linux' }))

    expect(error.code).to.equal('LF_RUNTIME_MISSING')
    expect(error.message).to.contain('cannot open shared object file')
  })

  it('is not replaced either when a package that the installed one needs is missing', async () => {
    const incomplete = Object.assign(new Error("Cannot find package 'onnxruntime-common' imported from onnxruntime"), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
    const importModule = installed({ vendor: runtime('carried'), 'onnxruntime-node': incomplete })

    const error = await rejection(loadOnnxRuntime({ importModule, platform: 'linux' }))

    expect(error.message).to.contain('onnxruntime-common')
  })

  it('is asked for with the exact command where neither is there', async () => {
    const error = await rejection(loadOnnxRuntime({ importModule: installed({}), platform: 'darwin' }))

    expect(error.code).to.equal('LF_RUNTIME_MISSING')
    expect(error.message).to.contain('npm install onnxruntime-node@1.30.0')
  })

  it('runs from the repository', async () => {
    expect((await loadOnnxRuntime()).InferenceSession).to.have.property('create')
  })
})
