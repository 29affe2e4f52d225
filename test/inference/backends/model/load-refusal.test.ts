import { expect } from 'chai'
import { whyNotLoaded } from '../../../../src/inference/backends/model/load-refusal.js'

const AT = 'Load model from /m/model.onnx failed:'
const PLACE = '/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&) '

describe('a model that ONNX Runtime does not load', () => {
  for (const [what, said, sentence] of [
    [
      'is of a newer format',
      `${AT}${PLACE}Unsupported model IR version: 14, max supported IR version: 13`,
      /^is of a newer ONNX format .*IR version 14, at most 13\); export it with an older release of onnx/,
    ],
    [
      'has newer operators',
      `${AT}${PLACE}Opset 99 is under development and support for this is limited. Current official support for domain ai.onnx is till opset 26`,
      /^has operators of a newer set .*ai\.onnx opset 99, at most 26\); export it with opset 26 or older$/,
    ],
    [
      'has operators of another runtime',
      `${AT}Fatal error: TRT:EfficientNMS_TRT(-1) is not a registered function/op`,
      /^has the operator TRT:EfficientNMS_TRT, which .*; export it without operators of another runtime/,
    ],
    [
      'has an unknown operator',
      `${AT}This is an invalid model. In Node, ("", Nope, "", -1) : , Error No Op registered for Nope with domain_version of 13`,
      /^has the operator Nope, /,
    ],
    [
      'lacks its data',
      'External data path validation failed for initializer: X. Error: External data path does not exist: "/m/model.onnx.data"',
      /^lacks files with its tensors, or they are cut off \(.*model\.onnx\.data"\); deploy it with all of them/,
    ],
    [
      'has data that are cut off',
      'Deserialize tensor X failed.GetExtDataFromTensorProto External initializer: X offset: 1 size to read: 2 are out of bounds',
      /^lacks files with its tensors, or they are cut off/,
    ],
    ['is none', `${AT}Protobuf parsing failed`, /^is no ONNX model, or is cut off/],
    ['fails otherwise', `${AT}something new`, /^cannot be loaded by ONNX Runtime: something new$/],
  ] as const) {
    it(`since it ${what} is refused with what to do`, () => {
      expect(whyNotLoaded(said)).to.match(sentence)
    })
  }
})
