// Loads Bokeh's script under our content security policy.
//
// Bokeh styles its charts with <style> elements that it makes itself, which style-src would block. They get this page's
// nonce, so the policy needs no 'unsafe-inline'. (Constructable sheets would need changes inside of Bokeh.)
let loading = null

export function loadBokeh(address) {
  loading ??= new Promise((done, failed) => {
    const nonce = document.querySelector("meta[name=csp-nonce]").content
    const create = document.createElement.bind(document)
    document.createElement = (name, options) => {
      const element = create(name, options)
      if (name === "style") element.nonce = nonce
      return element
    }
    const script = create("script")
    script.src = address
    script.addEventListener("load", () => {
      window.Bokeh.set_log_level("error") // a chart without points yet is no warning to us
      done(window.Bokeh)
    })
    script.addEventListener("error", () => failed(new Error("The charts' script could not be loaded.")))
    document.head.append(script)
  })
  return loading
}
