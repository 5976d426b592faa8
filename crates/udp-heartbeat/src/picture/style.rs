//! How pictures look: the same rules in a picture by itself and in a page, on paper as by day.

/// Colours by day, then by night. Nothing is told by colour alone.
pub(super) const COLORS: &str = "\
.bg{fill:#fff}.t{fill:#1f2328}.d{fill:#59636e}.g{stroke:#d1d9e0;stroke-width:1}.ax{stroke:#818b98;stroke-width:1}\
.b1{fill:#d6e6fb}.b2{fill:#a9cbf5}.b3{fill:#6aa5ec}.m{fill:none;stroke:#0a3069;stroke-width:1.6}.dot{fill:#0a3069}\
.h{fill:#6aa5ec}.p{stroke:#0a3069;stroke-width:1;stroke-dasharray:3 3}\
.l1{fill:#bf8700}.l2{fill:#e16f24}.l3{fill:#d1242f}.l4{fill:#82071e}\
.up{fill:#2da44e}.degraded{fill:#d4a72c}.down{fill:#cf222e}.unknown{fill:#afb8c1}\
@media screen and (prefers-color-scheme:dark){\
.bg{fill:#0d1117}.t{fill:#f0f6fc}.d{fill:#9198a1}.g{stroke:#2a313c}.ax{stroke:#656c76}\
.b1{fill:#14294a}.b2{fill:#1d4378}.b3{fill:#2f6cba}.m{stroke:#cae8ff}.dot{fill:#cae8ff}.h{fill:#388bfd}.p{stroke:#cae8ff}\
.l1{fill:#d29922}.l2{fill:#f0883e}.l3{fill:#ff7b72}.l4{fill:#ffc1ba}\
.up{fill:#3fb950}.degraded{fill:#d29922}.down{fill:#f85149}.unknown{fill:#656c76}}";

/// Of a page.
pub(super) const PAGE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa}\
@media screen and (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#f0f6fc;--dim:#9198a1;--line:#30363d;\
--soft:#151b23}}\
body{margin:0 auto;max-width:1000px;padding:1.5rem;background:var(--bg);color:var(--fg);\
font:15px/1.5 system-ui,sans-serif}\
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line);\
padding-bottom:.3rem;overflow-wrap:anywhere}h3{font-size:1rem;margin:1.5rem 0 .4rem}\
p{margin:.3rem 0}.dim,figcaption,caption{color:var(--dim)}.warn{border-left:4px solid #d1242f;\
padding-left:.7rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.4rem 0}caption{text-align:left;padding:.2rem 0}\
th,td{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\
th:first-child,td:first-child{text-align:left}.overview th:first-child{white-space:normal;overflow-wrap:anywhere;\
min-width:10rem}thead th{background:var(--soft)}\
.x{overflow-x:auto}\
.f{display:flex;flex-wrap:wrap;gap:0 2.5rem}figure{margin:.8rem 0}figure{overflow-x:auto}figure svg{display:block;width:100%;min-width:45rem;height:auto}\
summary{cursor:pointer;color:var(--dim)}dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1rem}\
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}figure svg{min-width:0}figure,table{break-inside:avoid}\
details:not([open]){display:none}}";
