import { Button, type ButtonProps, Dropdown, type MenuProps } from "antd";
import { type ReactNode, useRef, useState } from "react";

interface MenuButtonProps extends Omit<ButtonProps, "ref" | "placement"> {
  readonly menu: MenuProps;
  readonly placement?: "bottomLeft" | "bottomRight";
}

/** A button that opens a menu, and has the focus again when that is closed. */
export function MenuButton({ menu, placement = "bottomLeft", ...button }: MenuButtonProps): ReactNode {
  const trigger = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  const changed = (open: boolean): void => {
    setOpen(open);
    if (!open) trigger.current?.focus();
  };
  return (
    <Dropdown trigger={["click"]} autoFocus placement={placement} menu={menu} onOpenChange={changed}>
      <Button type="text" ref={trigger} aria-haspopup="menu" aria-expanded={isOpen} {...button} />
    </Dropdown>
  );
}
