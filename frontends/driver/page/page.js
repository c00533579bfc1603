(function () {
  var input = document.getElementById("search"), found = document.getElementById("found");
  var all = Array.prototype.slice.call(document.querySelectorAll("[data-name]"));
  var hits = [], at = -1;
  function search() {
    var word = input.value.trim().toLowerCase();
    document.body.classList.toggle("searching", word !== "");
    hits = [];
    at = -1;
    all.forEach(function (item) {
      var text = (item.dataset.name + " " + item.dataset.op).toLowerCase();
      var hit = word !== "" && text.indexOf(word) !== -1;
      item.classList.toggle("hit", hit);
      item.classList.remove("now");
      if (hit && item.tagName === "g") { hits.push(item); }
    });
    found.textContent = word === "" ? "" : hits.length + " found";
  }
  function open(item) {
    for (var up = item; up; up = up.parentElement) {
      if (up.tagName === "DETAILS" || up.tagName === "details") { up.open = true; }
    }
  }
  function next(step) {
    if (hits.length === 0) { return; }
    if (at !== -1) { hits[at].classList.remove("now"); }
    at = at === -1 ? (step > 0 ? 0 : hits.length - 1) : (at + step + hits.length) % hits.length;
    open(hits[at]);
    hits[at].classList.add("now");
    hits[at].scrollIntoView({ block: "center", inline: "center" });
    found.textContent = (at + 1) + " of " + hits.length;
  }
  input.addEventListener("input", search);
  input.addEventListener("keydown", function (event) {
    if (event.key === "Enter") { next(event.shiftKey ? -1 : 1); }
    if (event.key === "Escape") { input.value = ""; search(); }
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  });
  document.querySelectorAll(".picture").forEach(function (picture) {
    var svg = picture.querySelector("svg"), sight = picture.querySelector(".sight");
    var width = svg.viewBox.baseVal.width, height = svg.viewBox.baseVal.height, scale = 1;
    function size(to) {
      var x = (sight.scrollLeft + sight.clientWidth / 2) / scale, y = (sight.scrollTop + sight.clientHeight / 2) / scale;
      scale = Math.min(4, Math.max(0.02, to));
      svg.setAttribute("width", width * scale);
      svg.setAttribute("height", height * scale);
      sight.scrollLeft = x * scale - sight.clientWidth / 2;
      sight.scrollTop = y * scale - sight.clientHeight / 2;
    }
    picture.addEventListener("click", function (event) {
      var how = event.target.dataset ? event.target.dataset.zoom : undefined;
      if (how === "in") { size(scale * 1.3); }
      if (how === "out") { size(scale / 1.3); }
      if (how === "one") { size(1); }
      if (how === "fit") { size(Math.min(1, (sight.clientWidth - 4) / width)); }
    });
    if (width > sight.clientWidth) { sight.scrollLeft = (width - sight.clientWidth) / 2; }
  });
  if (location.hash) {
    input.value = decodeURIComponent(location.hash.slice(1));
    search();
    next(1);
  }
}());
