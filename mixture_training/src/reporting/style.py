"""How the page looks: light and dark, wide and narrow, on screen and on paper."""

STYLE = """
:root{color-scheme:light dark;--page:#f6f6f3;--card:#fff;--ink:#1c2024;--soft:#565e66;--line:#dcdcd6;--grid:#ebebe6;
--accent:#1f62a8;--good:#1d7a3e;--bad:#b3261e;--good-soft:#e5f3e9;--bad-soft:#fbe9e7;--warn:#8a5a00;--warn-soft:#fdf3dc;
--p:37 99 190;--n:208 96 16;--c0:#1f6fb4;--c1:#c2570c;--c2:#23803a;--c3:#7b4ab8;--c4:#b3261e;--c5:#0b7f89;--c6:#b92f85;
--c7:#7a5c20;--c8:#5a6672;--c9:#6c7400}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--ink:#e8eaec;--soft:#a6aeb6;--line:#363c42;
--grid:#2a2f34;--accent:#7db8f0;--good:#6fcf85;--bad:#ff9a90;--good-soft:#17301f;--bad-soft:#3a1d1b;--warn:#f0c060;
--warn-soft:#33290f;--p:66 138 226;--n:214 116 40;--c0:#6cb2f0;--c1:#f39a5b;--c2:#6fcf85;--c3:#b79cf0;--c4:#ff9a90;
--c5:#55cfd8;--c6:#f18bc6;--c7:#d8b070;--c8:#aab4be;--c9:#cfd060}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:68rem;margin:0 auto;padding:2.2rem 1.25rem 4rem}
h1,h2,h3{line-height:1.25;overflow-wrap:anywhere}
h1{font-size:1.05rem;font-weight:600;color:var(--soft);margin:0 0 .9rem}
h2{font-size:1.3rem;margin:0 0 .35rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{margin:.4rem 0 .8rem;max-width:48rem;overflow-wrap:anywhere}
.soft,figcaption{color:var(--soft);font-size:.9rem}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.4rem .8rem}
.headline{font-size:clamp(1.2rem,2.6vw,1.6rem);line-height:1.38;font-weight:600;letter-spacing:-.01em;max-width:none;
margin:0 0 1.4rem;padding-left:1rem;border-left:5px solid var(--soft)}
.headline.good{border-color:var(--good)}.headline.bad{border-color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:.8rem;margin:0 0 1.2rem}
.tiles div,section{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tiles div{padding:.8rem 1rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.6rem;font-weight:650;line-height:1.3}
.tiles dd small{display:block;font-size:.85rem;font-weight:400;color:var(--soft)}
dl{margin:0}
dd.good,td.better{color:var(--good)}dd.bad,td.worse{color:var(--bad)}
td.better,td.worse{font-weight:600}
section{padding:1.3rem 1.4rem;margin:1.2rem 0}
.cautions{border-color:var(--warn);background:var(--warn-soft)}
.cautions h2{font-size:1rem;color:var(--warn)}
.cautions ul{margin:.3rem 0 0;padding-left:1.2rem;overflow-wrap:anywhere}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:0 0 .4rem;padding:0;font-size:.92rem}
.scroll{overflow:auto;max-height:80vh;margin:.7rem 0;border-radius:4px}
table{border-collapse:separate;border-spacing:0;font-size:.86rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.32rem .65rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
thead th,thead td{position:sticky;top:0;background:var(--card);border-bottom:1px solid var(--line);color:var(--soft);
font-weight:600;vertical-align:bottom;z-index:1}
th[scope=row]{position:sticky;left:0;background:var(--card);text-align:left;font-weight:400;max-width:16rem;
overflow:hidden;text-overflow:ellipsis}
thead td:first-child,thead th:first-child{left:0;z-index:2;text-align:left}
.method th[scope=row]{font-weight:650}
.group th{padding-top:.9rem;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);text-align:left}
.group span{position:sticky;left:.65rem}
.results{font-size:.83rem}.results th,.results td{padding:.32rem .5rem}
.map td{text-align:center;min-width:3rem;padding:.32rem .4rem}
.map th[scope=col]{text-align:center}
.map th span{display:inline-block;max-width:11rem;overflow:hidden;text-overflow:ellipsis;vertical-align:bottom}
.upright th span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:10rem;max-width:none;text-align:left}
.map tbody td{border:1px solid var(--card)}
.map .p{background:rgb(var(--p)/var(--d))}.map .n{background:rgb(var(--n)/var(--d))}
.map .none,.counts td,.counts th{color:var(--soft)}
.map .all{font-weight:600}
.reference th{font-style:italic}
.key{display:inline-block;width:1.6em;height:.95em;border-radius:3px;vertical-align:-.1em}
.key.p{background:rgb(var(--p)/.5)}.key.n{background:rgb(var(--n)/.5)}
figure{margin:.6rem 0}
.chart{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;
fill:var(--ink)}
.small{max-width:40rem}
.grid line{stroke:var(--grid)}
.axis{stroke:var(--soft)}
.ticks text,.axis-name text{fill:var(--soft)}
.axis-name text{font-weight:600}
.hull{fill:none;stroke:var(--soft);stroke-width:1.8;stroke-dasharray:6 4}
.ideal{fill:none;stroke:var(--ink);stroke-width:1.3;stroke-dasharray:1 4;stroke-linecap:round}
.expert circle,.expert polygon{fill:var(--soft);stroke:var(--card)}
.expert .whisker{stroke:var(--soft);opacity:.55}
.best polygon,.best circle{fill:var(--ink);stroke:var(--card)}
.best .whisker{stroke:var(--ink)}
.reference{fill:var(--ink);stroke:var(--card)}
.labels text{font-size:11.5px;paint-order:stroke;stroke:var(--card);stroke-width:3.5px;stroke-linejoin:round;
unicode-bidi:isolate}
.leader{stroke:var(--soft);stroke-width:.8}
.counts rect{fill:var(--soft);opacity:.35}
.curve{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}
.method circle,.method polygon{fill:var(--c);stroke:var(--card)}
.method .whisker{stroke:var(--c);stroke-width:2}
.method .dot{stroke:none;fill:transparent}
.method .dot:hover{fill:var(--c)}
.band{fill:var(--c);opacity:var(--band,.13)}
.chart g.method:hover .curve{stroke-width:3.6}
.wide{display:block}.narrow{display:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:.4rem 0;padding:0;font-size:.9rem}
.legend label{cursor:pointer}
.legend svg,.swatch{width:34px;height:14px;vertical-align:-2px;margin-right:.3em}
.legend li{overflow-wrap:anywhere}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(15.5rem,1fr));gap:1rem}
.multiples figure{margin:0}
.multiples h3{margin:0}
.bar circle,.bar path{fill:var(--soft)}.bar .range{stroke:var(--soft);stroke-width:2.4}.bar .zero{stroke:var(--line)}
.bar.better circle,.bar.better path{fill:var(--good)}.bar.better .range{stroke:var(--good)}
.bar.worse circle,.bar.worse path{fill:var(--bad)}.bar.worse .range{stroke:var(--bad)}
.bar{display:block}td.bars{padding:0 .4rem}
details{margin:.5rem 0}
summary{cursor:pointer;font-weight:600;font-size:.95rem;padding:.2rem 0;overflow-wrap:anywhere}
.verdicts{list-style:none;margin:.6rem 0;padding:0}
.verdicts li{padding:.5rem .8rem;margin:.45rem 0;border-left:4px solid var(--soft);overflow-wrap:anywhere}
.verdicts li.good{border-color:var(--good);background:var(--good-soft)}
.verdicts li.bad{border-color:var(--bad);background:var(--bad-soft)}
.verdicts b{display:block;font-size:.9rem}
footer{color:var(--soft);font-size:.85rem}
@media(max-width:40rem){main{padding:1.2rem .7rem 3rem}section{padding:1rem .8rem}.wide{display:none}
.narrow{display:block}th[scope=row]{max-width:9rem}.tiles{grid-template-columns:1fr 1fr}.tiles dd{font-size:1.3rem}}
@media print{.scroll{max-height:none;overflow:visible}section{break-inside:avoid}nav{display:none}}
"""


def method_styles(colours: int, dashes: int, methods: int) -> str:
    """Return the rules of the methods' colours and dashes, and of the boxes that hide one."""
    patterns = ("none", "8 3", "2.5 3", "9 3 2 3", "14 4")
    rules = [f".c{index}{{--c:var(--c{index})}}" for index in range(colours)]
    rules += [f".d{index} .curve{{stroke-dasharray:{patterns[index]}}}" for index in range(dashes)]
    rules += [f"figure:has(#m{index}:not(:checked)) .chart .m{index}{{display:none}}" for index in range(methods)]
    rules += [f"figure:has(#m{index}:not(:checked)) .band.m{index}{{display:none}}" for index in range(methods)]
    rules.append("figure:has(#bands:not(:checked)) .band{display:none}")
    return "\n".join(rules)
