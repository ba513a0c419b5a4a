"""From a recoil to what is recorded: quenching, resolution, efficiency, response matrix."""
