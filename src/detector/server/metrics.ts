import process from 'node:process'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Detector } from '../serving/detector.js'

/** Notes the begin of a request; the answer notes its end with the status. */
export type RequestWatch = (surface: 'rest' | 'socket', call: string) => (status: number) => void

export type Metrics = {
  readonly watch: RequestWatch
  /** All figures in the text format of Prometheus. */
  text(): Promise<string>
  readonly contentType: string
}

const SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

/** Figures of one detector, in a registry of its own. */
export function createMetrics(detector: Pick<Detector, 'figures' | 'condition'>): Metrics {
  const registers = [new Registry()]
  const [registry = new Registry()] = registers
  const labelNames = ['surface', 'call', 'status'] as const
  const requests = new Counter({
    name: 'loopfleet_detector_requests_total',
    help: 'Requests by surface (rest, socket), call and status.',
    labelNames,
    registers,
  })
  const seconds = new Histogram({
    name: 'loopfleet_detector_request_seconds',
    help: 'Time from the request to its answer.',
    labelNames: ['surface', 'call'] as const,
    buckets: SECONDS,
    registers,
  })
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name: `loopfleet_detector_${name}`,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  gauge('images_in_flight', 'Images that wait for inference or are in it.', () => detector.figures().imagesInFlight)
  gauge('threads', 'Threads of the inference pool.', () => detector.figures().threads)
  gauge('uptime_seconds', 'Since the start.', () => Math.floor(detector.condition().uptimeSeconds))
  gauge('resident_bytes', 'Memory of the process.', () => process.memoryUsage.rss())
  gauge('outbox_normal', 'Images that wait for the Loop.', () => detector.figures().outbox.normal)
  gauge('outbox_priority', 'Images that wait for the Loop and go first.', () => detector.figures().outbox.priority)
  gauge('outbox_bytes', 'Their size on disk.', () => detector.figures().outbox.bytes)
  gauge('outbox_dropped', 'Images that were dropped for want of room.', () => detector.figures().outbox.dropped)
  gauge('outbox_set_aside', 'Images that cannot be sent.', () => detector.figures().outbox.setAside)
  gauge('outbox_uploaded', 'Images that the Loop has taken.', () => detector.figures().outbox.uploaded)
  new Gauge({
    name: 'loopfleet_detector_model_info',
    help: 'The model that runs, by its version; nothing without a model.',
    labelNames: ['version'] as const,
    registers,
    collect() {
      this.reset()
      const { model } = detector.figures()
      if (model !== null) this.set({ version: model }, 1)
    },
  })
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    watch(surface, call) {
      const startedAt = performance.now()
      return (status) => {
        requests.inc({ surface, call, status: String(status) })
        seconds.observe({ surface, call }, (performance.now() - startedAt) / 1000)
      }
    },
  }
}
