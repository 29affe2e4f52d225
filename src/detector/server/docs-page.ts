import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { probeDocs } from './route-docs.js'

// The page styles what it draws in place; nothing else may come from outside its own files.
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The OpenAPI page at `/docs` and its description at `/openapi.json`; nothing is loaded from elsewhere. */
export async function registerDocsPage(app: FastifyInstance, info: { readonly version: string }): Promise<void> {
  // Schemas of routes are for this page: values are checked by the parts, and answers go out as they are.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: {
        title: 'loopfleet detector',
        version: info.version,
        description: 'Finds things in images with a model of the Learning Loop. The same by socket at /ws/socket.io.',
      },
      paths: probeDocs,
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    // The bar on top is for other APIs.
    theme: {
      title: 'loopfleet detector',
      css: [{ filename: 'theme.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    uiConfig: { tryItOutEnabled: true, validatorUrl: null },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
