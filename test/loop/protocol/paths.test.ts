import { expect } from 'chai'
import { isUuid, loopAddress, ProtocolError, paths } from '../../../src/loop/protocol/index.js'

describe('paths of the REST API', () => {
  it('are the published ones', () => {
    expect([
      paths.data('acme', 'demo', 'complete'),
      paths.data('acme', 'demo'),
      paths.images('acme', 'demo', ['a', 'b']),
      paths.images('acme', 'demo', ['a'], '1.1'),
      paths.imageMain('acme', 'demo', 'a'),
      paths.imageUpload('acme', 'demo'),
      paths.modelFile('acme', 'demo', 'm', 'onnx'),
      paths.trainingModelFile('acme', 'demo', 7, 'onnx'),
      paths.models('acme', 'demo'),
      paths.models('acme', 'demo', 'format_a'),
      paths.newModel('acme', 'demo', 'format_a'),
      paths.trainings('acme', 'demo'),
      paths.detections('acme', 'demo'),
      paths.detectors('acme', 'demo'),
      paths.deploymentTarget('acme', 'demo'),
      paths.generator('acme'),
      paths.resource('/acme/projects/demo', 'models'),
    ]).to.deep.equal([
      '/acme/projects/demo/data?state=complete',
      '/acme/projects/demo/data',
      '/acme/projects/demo/images?ids=a,b',
      '/acme/projects/demo/images?ids=a&model_version=1.1',
      '/acme/projects/demo/images/a/main',
      '/acme/projects/demo/images',
      '/acme/projects/demo/models/m/onnx/file',
      '/acme/projects/demo/trainings/7/models/latest/onnx/file',
      '/acme/projects/demo/models',
      '/acme/projects/demo/models?format=format_a',
      '/acme/projects/demo/format_a',
      '/acme/projects/demo/trainings',
      '/acme/projects/demo/detections',
      '/acme/projects/demo/detectors',
      '/acme/projects/demo/deployment/target',
      '/acme/projects/generator',
      '/acme/projects/demo/models',
    ])
  })

  it('encode what is no plain text', () => {
    expect(paths.imageMain('acme', 'demo', 'a/../b?c#d')).to.equal('/acme/projects/demo/images/a%2F..%2Fb%3Fc%23d/main')
    expect(paths.images('acme', 'demo', ['a&b', 'c,d'])).to.equal('/acme/projects/demo/images?ids=a%26b,c%2Cd')
  })

  for (const bad of ['', '.', '..', '\ud800']) {
    it(`refuse ${JSON.stringify(bad)} as a part of them`, () => {
      expect(() => paths.imageMain('acme', 'demo', bad)).to.throw(ProtocolError, /cannot be part of a path/)
    })
  }

  for (const bad of [
    '',
    'acme',
    '//evil.example/x',
    '/a/../b',
    '/a/%2e%2E/b',
    '/a?b',
    '/a#b',
    '/a\\b',
    '@evil.example',
    '/a b',
  ]) {
    it(`refuse ${JSON.stringify(bad)} as a project's resource`, () => {
      expect(() => paths.resource(bad)).to.throw(ProtocolError)
    })
  }
})

describe('the address of a Loop', () => {
  const ADDRESSES: readonly [host: string, rest: string, socket: string][] = [
    ['learning-loop.ai', 'https://learning-loop.ai/api', 'wss://learning-loop.ai'],
    [
      'preview.learning-loop.ai:8443',
      'https://preview.learning-loop.ai:8443/api',
      'wss://preview.learning-loop.ai:8443',
    ],
    ['localhost:5000', 'http://localhost:5000/api', 'ws://localhost:5000'],
    ['loop_server', 'http://loop_server/api', 'ws://loop_server'],
    ['[::1]:80', 'http://[::1]/api', 'ws://[::1]'],
    ['https://loop.example/', 'https://loop.example/api', 'wss://loop.example'],
    ['http://learning-loop.ai', 'http://learning-loop.ai/api', 'ws://learning-loop.ai'],
  ]

  for (const [host, rest, socket] of ADDRESSES) {
    it(`of ${host} is ${rest}`, () => {
      expect(loopAddress(host)).to.deep.equal({ rest, socket, socketPath: '/ws/socket.io/' })
    })
  }

  for (const host of [
    '',
    ' ',
    'a b',
    'ftp://x',
    'x/api',
    'https://x/api',
    'x?y',
    'x#y',
    'http://',
    'x:port',
    'x:99999',
  ]) {
    it(`is not ${JSON.stringify(host)}`, () => {
      expect(() => loopAddress(host)).to.throw(ProtocolError, /The Loop's host must be/)
    })
  }

  for (const host of ['0.0.0.0', '0.0.0.0:8080', '[::]:80', 'http://0.0.0.0', 'https://[::]', '0']) {
    it(`takes no address at which a server listens, ${host}, for a Loop`, () => {
      expect(() => loopAddress(host)).to.throw(ProtocolError, /set LOOP_HOST \(its older name is HOST\)/)
    })
  }

  it('keeps a password out of its complaint', () => {
    expect(() => loopAddress('http://me:secret@x')).to.throw(/^(?!.*secret).*$/)
  })
})

describe('a uuid', () => {
  for (const text of [
    '917d5c7f-403d-7e92-f95f-577f79c2273a',
    '917D5C7F403D7E92F95F577F79C2273A',
    '{917d5c7f-403d-7e92-f95f-577f79c2273a}',
    'urn:uuid:917d5c7f-403d-7e92-f95f-577f79c2273a',
  ]) {
    it(`is ${text}`, () => {
      expect(isUuid(text)).to.equal(true)
    })
  }

  for (const text of [
    '',
    'small',
    '917d5c7f-403d-7e92-f95f',
    '917d5c7f-403d-7e92-f95f-577f79c2273g',
    '../../../../../../../../../../../',
  ]) {
    it(`is not ${JSON.stringify(text)}`, () => {
      expect(isUuid(text)).to.equal(false)
    })
  }

  it('is looked for without delay in a text of a million braces', () => {
    const started = performance.now()

    expect(isUuid(`x${'{'.repeat(1_000_000)}x`)).to.equal(false)
    expect(performance.now() - started).to.be.lessThan(1000)
  })
})
