import { expect } from 'chai'
import { planWithoutFile } from '../../src/inference/decoder-file.js'
import { openOnnxModel } from '../../src/inference/onnx-model.js'
import { rejection } from './rejection.js'

describe('An ONNX model', () => {
  it('cannot be opened without ONNX Runtime, and the error names the way out', async () => {
    const importRuntime = () => Promise.reject(new Error("Cannot find package 'onnxruntime-node'"))
    const options = { modelFile: 'model.onnx', plan: planWithoutFile, resolution: undefined }

    const error = await rejection(openOnnxModel(options, { importRuntime }))

    expect(error.code).to.equal('LF_RUNTIME_MISSING')
    expect(error.message).to.contain("Cannot find package 'onnxruntime-node'")
    expect(error.message).to.contain('npm install onnxruntime-node')
  })
})
